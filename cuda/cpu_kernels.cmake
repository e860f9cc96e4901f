# recon/_core: every *_cpu.cpp is compiled once per instruction set, in a namespace of that name;
# cuda/cpu/dispatch.h picks one when the library is loaded.
file(GLOB cpu_kernels CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/*/*_cpu.cpp)
file(GLOB cpu_bindings CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/bindings/cpu_*.cpp)
file(GLOB cpu_runtime CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/cpu/*.cpp)

if(MSVC)
  set(kernel_flags /O2 /fp:contract)
else()
  # Rounding stays as written apart from fused multiply-add; only errno and traps are given up.
  set(kernel_flags -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast)
endif()

set(isa_objects)
function(add_isa isa)
  add_library(recon_cpu_${isa} OBJECT ${cpu_kernels})
  target_include_directories(recon_cpu_${isa} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/cuda)
  target_compile_definitions(recon_cpu_${isa} PRIVATE RECON_ISA=${isa})
  target_compile_options(recon_cpu_${isa} PRIVATE ${kernel_flags} ${ARGN})
  set(isa_objects ${isa_objects} $<TARGET_OBJECTS:recon_cpu_${isa}> PARENT_SCOPE)
endfunction()

# The baseline comes first: where two sets emit the same inline symbol of the standard library,
# the linker keeps the first, and that one must run everywhere.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64" AND NOT MSVC)
  add_isa(baseline -march=x86-64-v2)
  add_isa(avx2 -march=x86-64-v3)
  add_isa(avx512 -march=x86-64-v4 -mprefer-vector-width=512)
else()
  add_isa(baseline)
endif()

nanobind_add_module(_core NB_STATIC ${cpu_bindings} ${cpu_runtime} ${isa_objects})
target_include_directories(_core PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/cuda)
target_link_libraries(_core PRIVATE Threads::Threads)
install(TARGETS _core LIBRARY DESTINATION recon)
