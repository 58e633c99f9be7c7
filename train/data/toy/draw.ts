import { createPicture, type Picture } from '../picture.ts';
import { keyedRandom } from '../random.ts';

/** What a drawn picture shows. */
export type ToyDomain = 'cat' | 'dog';

export function drawToy(domain: ToyDomain, seed: number, size: number): Picture {
  const random = keyedRandom(seed, domain === 'cat' ? 0 : 1);
  const picture = createPicture(size, size);
  for (let i = 0; i < picture.data.length; i++) picture.data[i] = random() * 256;
  return picture;
}
