// The shaders that draw Gaussians as recon's rasterizer does: same projection, dilation, footprint and clamps.

/** Texels per row of the textures that hold the Gaussians. */
export const COLUMNS = 1024;

/** Layers of the geometry texture: (mean, opacity), quaternion, (standard deviations, confidence). */
export const GEOMETRY_LAYERS = 3;

/** What is blended; the numbers are the shader's. */
export const MODES = { color: 0, depth: 1, normal: 2, confidence: 3, ellipsoids: 4, centers: 5 } as const;

export const SPLAT_VERTEX = /* glsl */ `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2DArray;

uniform sampler2DArray geometry;
uniform sampler2DArray harmonics;
uniform sampler2D confidence_ramp;
uniform mat4 world_to_camera;
uniform vec3 camera_center;
uniform vec4 intrinsics;     // fx, fy, cx, cy in pixels
uniform vec2 size;           // pixels
uniform vec4 slope_limits;   // least x/z, most x/z, least y/z, most y/z
uniform vec2 clip_depth;     // z of clip space = x + y / depth
uniform float near;          // camera z up to which nothing is drawn
uniform int degree;
uniform int mode;
uniform bool cropped;
uniform mat4 crop_from_world;

in uint splat;

flat out vec4 ink;  // what is blended, and the opacity
out vec2 place;     // in standard deviations along the ellipse's axes

const float ALPHA_MIN = 1.0 / 255.0;
const float DILATION = 0.3;
const float ELLIPSOID = 1.5;  // standard deviations of the solid bodies in mode 4
const float DOT = 1.6;        // pixels, radius of the discs in mode 5

ivec2 texel;

vec3 color_towards(vec3 d) {
  // Coefficients lie one after the other, four numbers to a texel: coefficient k starts at number 3 k.
  vec4 t0 = texelFetch(harmonics, ivec3(texel, 0), 0);
  vec3 color = 0.5 + 0.28209479177387814 * t0.rgb;
  if (degree < 1) return color;
  vec4 t1 = texelFetch(harmonics, ivec3(texel, 1), 0);
  vec4 t2 = texelFetch(harmonics, ivec3(texel, 2), 0);
  vec3 c1 = vec3(t0.a, t1.rg), c2 = vec3(t1.ba, t2.r), c3 = t2.gba;
  color += 0.4886025119029199 * (-d.y * c1 + d.z * c2 - d.x * c3);
  if (degree < 2) return color;
  vec4 t3 = texelFetch(harmonics, ivec3(texel, 3), 0);
  vec4 t4 = texelFetch(harmonics, ivec3(texel, 4), 0);
  vec4 t5 = texelFetch(harmonics, ivec3(texel, 5), 0);
  vec4 t6 = texelFetch(harmonics, ivec3(texel, 6), 0);
  vec3 c4 = t3.rgb, c5 = vec3(t3.a, t4.rg), c6 = vec3(t4.ba, t5.r), c7 = t5.gba, c8 = t6.rgb;
  float xx = d.x * d.x, yy = d.y * d.y, zz = d.z * d.z;
  color += 1.0925484305920792 * (d.x * d.y * c4 - d.y * d.z * c5 - d.x * d.z * c7)
         + 0.31539156525252005 * (2.0 * zz - xx - yy) * c6
         + 0.5462742152960396 * (xx - yy) * c8;
  if (degree < 3) return color;
  vec4 t7 = texelFetch(harmonics, ivec3(texel, 7), 0);
  vec4 t8 = texelFetch(harmonics, ivec3(texel, 8), 0);
  vec4 t9 = texelFetch(harmonics, ivec3(texel, 9), 0);
  vec4 t10 = texelFetch(harmonics, ivec3(texel, 10), 0);
  vec4 t11 = texelFetch(harmonics, ivec3(texel, 11), 0);
  vec3 c9 = vec3(t6.a, t7.rg), c10 = vec3(t7.ba, t8.r), c11 = t8.gba, c12 = t9.rgb;
  vec3 c13 = vec3(t9.a, t10.rg), c14 = vec3(t10.ba, t11.r), c15 = t11.gba;
  return color - 0.5900435899266435 * d.y * (3.0 * xx - yy) * c9
               + 2.890611442640554 * d.x * d.y * d.z * c10
               - 0.4570457994644658 * d.y * (4.0 * zz - xx - yy) * c11
               + 0.3731763325901154 * d.z * (2.0 * zz - 3.0 * xx - 3.0 * yy) * c12
               - 0.4570457994644658 * d.x * (4.0 * zz - xx - yy) * c13
               + 1.445305721320277 * d.z * (xx - yy) * c14
               - 0.5900435899266435 * d.x * (xx - 3.0 * yy) * c15;
}

mat3 rotation_of(vec4 q) {  // (w, x, y, z) of any length
  q = normalize(q);
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
              2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
              2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0);  // outside of clip space: not drawn
  ink = vec4(0.0);
  place = vec2(0.0);
  int index = int(splat);
  texel = ivec2(index & ${COLUMNS - 1}, index / ${COLUMNS});
  vec4 mean = texelFetch(geometry, ivec3(texel, 0), 0);
  vec3 point = (world_to_camera * vec4(mean.xyz, 1.0)).xyz;
  float opacity = mean.w;
  if (!(point.z > near) || !(opacity >= ALPHA_MIN)) return;
  if (cropped && any(greaterThan(abs((crop_from_world * vec4(mean.xyz, 1.0)).xyz), vec3(1.0)))) return;

  vec4 extent = texelFetch(geometry, ivec3(texel, 2), 0);
  vec3 scale = extent.xyz;
  mat3 rotation = mat3(world_to_camera) * rotation_of(texelFetch(geometry, ivec3(texel, 1), 0));
  // Rows of the projection's Jacobian times the scaled axes, see cuda/math/project.h.
  vec2 slope = point.xy / point.z;
  vec2 bounded = clamp(slope, slope_limits.xz, slope_limits.yw);
  vec3 deep = scale * vec3(rotation[0].z, rotation[1].z, rotation[2].z);
  vec3 t0 = intrinsics.x / point.z * (scale * vec3(rotation[0].x, rotation[1].x, rotation[2].x) - bounded.x * deep);
  vec3 t1 = intrinsics.y / point.z * (scale * vec3(rotation[0].y, rotation[1].y, rotation[2].y) - bounded.y * deep);
  float raw_a = dot(t0, t0), b = dot(t0, t1), raw_c = dot(t1, t1);
  float a = raw_a + DILATION, c = raw_c + DILATION;
  vec3 normal = cross(t0, t1);
  float determinant = dot(normal, normal) + DILATION * (raw_a + raw_c + DILATION);
  vec2 center = intrinsics.xy * slope + intrinsics.zw;

  // Axes of the ellipse on the screen: alpha falls to 1/255 at reach standard deviations along both.
  float apart = length(vec2(0.5 * (a - c), b));
  float longest = 0.5 * (a + c) + apart;
  vec2 axis = a >= c ? vec2(longest - c, b) : vec2(b, longest - a);
  axis = apart > 0.0 ? normalize(axis) : vec2(1.0, 0.0);
  vec2 deviations = sqrt(vec2(longest, max(determinant / longest, 0.0)));
  float reach = sqrt(max(0.0, 2.0 * log(opacity / ALPHA_MIN)));
  if (mode == ${MODES.ellipsoids}) reach = ELLIPSOID;
  if (mode == ${MODES.centers}) {
    axis = vec2(1.0, 0.0);
    deviations = vec2(DOT);
    reach = 1.0;
  }
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
  place = corner * reach;
  vec2 pixel = center + place.x * deviations.x * axis + place.y * deviations.y * vec2(-axis.y, axis.x);

  if (mode == ${MODES.depth}) {
    ink = vec4(point.z, 0.0, 0.0, opacity);
  } else if (mode == ${MODES.normal}) {
    vec3 n = scale.x <= min(scale.y, scale.z) ? rotation[0] : scale.y <= scale.z ? rotation[1] : rotation[2];
    ink = vec4(dot(n, point) > 0.0 ? -n : n, opacity);
  } else if (mode == ${MODES.confidence}) {
    ink = vec4(texture(confidence_ramp, vec2(clamp(extent.w, 0.0, 1.0), 0.5)).rgb, opacity);
  } else {
    ink = vec4(max(color_towards(normalize(mean.xyz - camera_center)), 0.0), opacity);
  }
  float z = clamp(clip_depth.x + clip_depth.y / point.z, -1.0, 1.0);
  gl_Position = vec4(2.0 * pixel.x / size.x - 1.0, 1.0 - 2.0 * pixel.y / size.y, z, 1.0);
}
`;

export const SPLAT_FRAGMENT = /* glsl */ `#version 300 es
precision highp float;
precision highp int;

uniform int mode;
flat in vec4 ink;
in vec2 place;
out vec4 blended;

void main() {
  float square = dot(place, place);
  if (mode == ${MODES.ellipsoids}) {
    float height = 1.0 - square / (1.5 * 1.5);
    if (height < 0.0) discard;
    blended = vec4(ink.rgb * (0.45 + 0.55 * sqrt(height)), 1.0);
  } else if (mode == ${MODES.centers}) {
    if (square > 1.0) discard;
    blended = vec4(ink.rgb, 1.0);
  } else {
    float alpha = min(0.99, ink.a * exp(-0.5 * square));
    if (alpha < 1.0 / 255.0) discard;
    blended = vec4(ink.rgb * alpha, alpha);
  }
}
`;
