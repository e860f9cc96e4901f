// A mesh from a .glb file; loaded as a piece of script of its own, since few look at meshes.
import * as THREE from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { FormatError } from "../splats/formats";

/** Decode a .glb file, in world coordinates as recon writes it. */
export async function decodeMesh(content: Uint8Array<ArrayBuffer>, source: string): Promise<THREE.Object3D> {
  let root: THREE.Object3D;
  try {
    root = (await new GLTFLoader().parseAsync(content.buffer, "")).scene;
  } catch (error) {
    throw new FormatError(`${source} is not a .glb mesh that can be shown: ${(error as Error).message}`);
  }
  // glTF has y up, scenes here have y down: recon's files turn the mesh in their node, which is undone here.
  const world = new THREE.Group();
  world.rotation.x = Math.PI;
  world.add(root);
  root.traverse((object) => {
    if (!(object instanceof THREE.Mesh)) return;
    const colors = object.geometry.getAttribute("color") as THREE.BufferAttribute | undefined;
    const old = object.material as THREE.MeshStandardMaterial;
    object.material = new THREE.MeshBasicMaterial({
      vertexColors: colors !== undefined,
      map: old.map,
      side: THREE.DoubleSide,
      color: colors || old.map ? 0xffffff : 0xb8c0cc,
    });
    object.userData["solid"] = true;
    if (colors !== undefined) object.geometry.setAttribute("color", toSrgb(colors));
  });
  return world;
}

/** glTF stores linear colours; pictures here are made of sRGB values. */
function toSrgb(linear: THREE.BufferAttribute): THREE.BufferAttribute {
  const out = new Uint8Array(3 * linear.count);
  for (let i = 0; i < linear.count; i++)
    for (let k = 0; k < 3; k++) {
      const value = linear.getComponent(i, k);
      const encoded = value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
      out[3 * i + k] = Math.round(255 * Math.min(1, Math.max(0, encoded)));
    }
  return new THREE.BufferAttribute(out, 3, true);
}
