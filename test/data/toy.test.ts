import { describe, expect, it } from 'vitest';
import { resizeBilinear } from '../../train/data/resize.ts';
import { pictureName } from '../../train/data/source.ts';
import { drawToyPicture, toyDataset } from '../../train/data/toy/dataset.ts';
import { drawToy } from '../../train/data/toy/draw.ts';

describe('toy-cat2dog', () => {
  it('is a pure function of domain, seed and size', () => {
    expect(drawToy('cat', 5, 48)).toEqual(drawToy('cat', 5, 48));
    expect(drawToy('cat', 6, 48)).not.toEqual(drawToy('cat', 5, 48));
    expect(drawToy('dog', 5, 48)).not.toEqual(drawToy('cat', 5, 48));
  });

  it('draws any size, and the same picture at each', () => {
    for (const size of [1, 2, 7, 33]) expect(drawToy('dog', 1, size).data).toHaveLength(size * size * 3);
    for (const domain of ['cat', 'dog'] as const) {
      for (let seed = 0; seed < 4; seed++) {
        const small = drawToy(domain, seed, 48);
        const large = resizeBilinear(drawToy(domain, seed, 192), 48, 48);
        const difference =
          small.data.reduce((sum, v, i) => sum + Math.abs(v - large.data[i]), 0) / small.data.length;
        expect(difference).toBeLessThan(6);
      }
    }
  });

  it('has variety: no two pictures alike, all of them well exposed', () => {
    for (const domain of ['cat', 'dog'] as const) {
      const pictures = Array.from({ length: 40 }, (_, seed) => drawToy(domain, seed, 32).data);
      for (const [i, a] of pictures.entries()) {
        const mean = a.reduce((sum, v) => sum + v, 0) / a.length;
        expect(mean).toBeGreaterThan(40);
        expect(mean).toBeLessThan(235);
        for (const b of pictures.slice(0, i)) {
          const difference = a.reduce((sum, v, k) => sum + Math.abs(v - b[k]), 0) / a.length;
          expect(difference).toBeGreaterThan(8);
        }
      }
    }
  });

  it('keeps training and test pictures apart', () => {
    const toy = toyDataset({ seed: 3 });
    const first = drawToyPicture(toy.trainA, 0, 32);
    expect(drawToyPicture(toyDataset({ seed: 3 }).trainA, 0, 32)).toEqual(first);
    expect(drawToyPicture(toy.testA, 0, 32)).not.toEqual(first);
    expect(drawToyPicture(toyDataset({ seed: 4 }).trainA, 0, 32)).not.toEqual(first);
    expect(pictureName(toy.testB, 3)).toBe('dog-0003.png');
  });

  it('draws fast enough', () => {
    for (let seed = 0; seed < 10; seed++) drawToy(seed % 2 ? 'cat' : 'dog', seed, 96);
    const { user, system } = process.cpuUsage();
    for (let seed = 0; seed < 20; seed++) drawToy(seed % 2 ? 'cat' : 'dog', seed, 96);
    const used = process.cpuUsage({ user, system });
    // 9 ms each, measured; the limit leaves room for slower machines.
    expect((used.user + used.system) / 1000 / 20).toBeLessThan(60);
  });
});
