"""What leaves a reconstruction: pictures, videos, meshes."""
