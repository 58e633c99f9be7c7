// Which pixels the taps of a convolution see, and which outputs see a pixel: the picture is upsampled by UP
// (nearest), then padded by P pixels (reflection). Needs lib/padding.wgsl and lib/shown.wgsl.
// Here C is the number of channels on the thin side of the layer, of x or of y.
const N: u32 = 1;
const H: u32 = 1;
const W: u32 = 1;
const C: u32 = 1;
const OH: u32 = 1;
const OW: u32 = 1;
const K: u32 = 1;
const S: u32 = 1;
const P: u32 = 0;
const UP: u32 = 1;
const PIXELS: u32 = N * H * W;
const OUTPUTS: u32 = N * OH * OW;

// Pixel that tap k of output o sees on a side of `size` pixels.
fn seen(o: u32, k: u32, size: u32) -> u32 {
  return u32(padded_source(i32(o * S + k) - i32(P), i32(size * UP), 0)) / UP;
}

// Padded coordinates to look at for a pixel: of each of its UP copies the copy itself and, near the ends of
// the side, two reflections.
fn images(pixel: u32, size: u32) -> u32 {
  let inner = pixel * UP > P && (pixel + 1) * UP + P < size * UP;
  return select(3 * UP, UP, inner);
}

// The i-th of them, or -1 where there is no such reflection.
fn image(pixel: u32, i: u32, size: u32) -> i32 {
  return shown(i32(pixel * UP + i % UP), i / UP, i32(size * UP), i32(P), 0);
}

// Output whose tap k sees the padded coordinate `at`, or a negative number.
fn output_at(at: i32, k: u32, outputs: u32) -> i32 {
  let first = at - i32(k);
  let o = first / i32(S);
  return select(-1, o, o * i32(S) == first && o < i32(outputs));
}
