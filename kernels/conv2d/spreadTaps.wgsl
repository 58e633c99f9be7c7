// The thin side of a convolution spread into a plane a tap and channel, for products with the other side: the
// transposes of both sums of gatherTaps.wgsl.
//   main:     y[s, kh, kw, c, j] = x[n, sy, sx, c], whose pixel (sy, sx) the tap of output p sees
//             (lib/taps.wgsl); x [N,H,W,C], y [splits,K,K,C,PART], p = s PART + j of N OH OW outputs
//   backward: y[s, c, kh, kw, j] = sum of dy[n,oy,ox,c] over the outputs whose tap sees pixel p, image by
//             image; dy [N,OH,OW,C], y [splits,C,K,K,PART], p = s PART + j of N H W pixels
// PART divides the positions. One invocation owns a row of K taps of a channel and position; neighbours own
// neighbouring positions, since that is how the planes lie.
// needs: flat padding shown taps
const PART: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// Where plane `plane` of position p lies.
fn place(plane: u32, p: u32) -> u32 {
  return (p / PART * (K * K * C) + plane) * PART + p % PART;
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= OUTPUTS * K * C) {
    return;
  }
  let p = i % OUTPUTS;
  let c = i / OUTPUTS % C;
  let kh = i / (OUTPUTS * C);
  let row = (p / (OW * OH) * H + seen(p / OW % OH, kh, H)) * W;
  for (var kw = 0u; kw < K; kw++) {
    y[place((kh * K + kw) * C + c, p)] = x[(row + seen(p % OW, kw, W)) * C + c];
  }
}

// Sum over the outputs of row `row` whose tap kw sees column `column`.
fn sum_across(kw: u32, row: u32, column: u32, c: u32) -> f32 {
  var sum = 0.0;
  let count = images(column, W);
  for (var i = 0u; i < count; i++) {
    let ox = output_at(image(column, i, W), kw, OW);
    if (ox >= 0) {
      sum += x[(row * OW + u32(ox)) * C + c];
    }
  }
  return sum;
}

@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= PIXELS * K * C) {
    return;
  }
  let p = i % PIXELS;
  let kh = i / PIXELS % K;
  let c = i / (PIXELS * K);
  let row = p / W % H;
  let n = p / (W * H);
  let count = images(row, H);
  for (var kw = 0u; kw < K; kw++) {
    var sum = 0.0;
    for (var j = 0u; j < count; j++) {
      let oy = output_at(image(row, j, H), kh, OH);
      if (oy >= 0) {
        sum += sum_across(kw, n * OH + u32(oy), p % W, c);
      }
    }
    y[place((c * K + kh) * K + kw, p)] = sum;
  }
}
