// The input photos and stored renderings, fetched once, a few at a time.
import type { CameraEntry, Server } from "../session";

/** Thumbnails are made of so many photos at most; the others are fetched when they are looked at. */
const MAX_THUMBNAILS = 120;
const AT_ONCE = 3;
/** Full photos kept in memory. */
const KEPT = 6;
const THUMBNAIL = 160;

export class Photos {
  /** Addresses of thumbnails, by camera. */
  readonly thumbnails = new Map<string, string>();
  private readonly kept = new Map<string, Promise<ImageBitmap>>();
  private generation = 0;

  constructor(private readonly server: Server) {}

  /** Decode a picture; throws a sentence when it cannot be. */
  load(id: string): Promise<ImageBitmap> {
    let photo = this.kept.get(id);
    if (photo === undefined) {
      photo = this.server.file(id).then((content) => createImageBitmap(new Blob([content])));
      photo.catch(() => this.kept.delete(id));
      this.kept.set(id, photo);
      if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value!);
    }
    return photo;
  }

  /** Fetch every photo once and hand it over; its thumbnail is kept. */
  async loadThumbnails(
    cameras: readonly CameraEntry[],
    use: (entry: CameraEntry, photo: ImageBitmap) => void,
  ): Promise<void> {
    const generation = ++this.generation;
    const waiting = cameras.filter(({ photo }) => photo !== null).slice(0, MAX_THUMBNAILS);
    const work = async () => {
      for (let entry = waiting.shift(); entry !== undefined; entry = waiting.shift()) {
        if (generation !== this.generation) return;
        try {
          const content = await this.server.file(entry.photo!);
          const photo = await createImageBitmap(new Blob([content]));
          this.thumbnails.set(entry.id, await thumbnail(photo));
          use(entry, photo);
          photo.close();
        } catch {
          // The camera stays without a thumbnail; comparing with it will say why.
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  forget(): void {
    this.generation++;
    for (const address of this.thumbnails.values()) URL.revokeObjectURL(address);
    this.thumbnails.clear();
    this.kept.clear();
  }
}

async function thumbnail(photo: ImageBitmap): Promise<string> {
  const scale = Math.min(1, THUMBNAIL / Math.max(photo.width, photo.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(photo.width * scale));
  canvas.height = Math.max(1, Math.round(photo.height * scale));
  canvas.getContext("2d")!.drawImage(photo, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.8));
  return URL.createObjectURL(blob!);
}
