# recon/_cuda_emulated: the CUDA sources compiled as plain C++ and run thread by thread on the CPU, so that tests check
# the kernels' logic on machines with no GPU. For development only; it is never installed in a wheel.
option(RECON_CUDA_EMULATION "Build the CUDA kernels for the CPU emulation that tests use" OFF)
if(NOT RECON_CUDA_EMULATION)
  return()
endif()

file(GLOB emulated_kernels CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/*/*_cuda.cu)
file(GLOB emulated_bindings CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/bindings/cuda_*.cpp)

# Own copies in C++, since a source belongs to one language and nvcc's build may use the same files.
set(emulated_sources)
foreach(kernel IN LISTS emulated_kernels)
  get_filename_component(name ${kernel} NAME_WE)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/emulated/${name}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${kernel}\"\n")
  list(APPEND emulated_sources ${source})
endforeach()

nanobind_add_module(_cuda_emulated NB_STATIC ${emulated_bindings} ${emulated_sources})
target_include_directories(_cuda_emulated PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/cuda)
target_compile_definitions(_cuda_emulated PRIVATE RECON_EMULATE_CUDA)
# The checks of _FORTIFY_SOURCE take jumps between the emulation's stacks for errors.
target_compile_options(_cuda_emulated PRIVATE -O2 -U_FORTIFY_SOURCE -Wno-unknown-pragmas)
install(TARGETS _cuda_emulated LIBRARY DESTINATION recon)
