// Input gradient of the Winograd convolution from the gradients of its overlapping tiles:
//   dx[n,y,x,c] (+)= sum over padded positions q that show (y,x), over tiles t that cover q,
//     of dd[q in t][t][c]
// A pixel is shown by itself and, next to an edge, by its mirror image in the padding (the fold of the
// reflection). One invocation per pixel and every SPREAD-th quad of channels: it owns its sums, their order
// is fixed. dd[6 i + j][tile][C] -> dx [N,H,W,C]. WG, SPREAD: any. ADD: adds to what
// dx holds.
// needs: flat quotient winograd winogradTile
// static: SPREAD
const SPREAD: u32 = 16;
const WG: u32 = 64;
const ADD: bool = false;

@group(0) @binding(1) var<storage, read> dd: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

// Tile and place in it of everything that shows coordinate `u`: up to three positions, two tiles each.
struct Shown {
  tile: array<u32, 6>,
  line: array<u32, 6>,
  count: u32,
}

fn shown(u: u32, size: u32, tiles: u32) -> Shown {
  var list = Shown();
  let positions = array(u + 1, 0u, size + 1);
  let real = array(true, u == 1, u + 2 == size);
  for (var k = 0u; k < 3; k++) {
    let p = positions[k];
    let last = select(0u, min(p / TILE, tiles - 1) + 1, real[k]);
    for (var t = (max(p, 2) - 2) / TILE; t < last; t++) {
      list.tile[list.count] = t;
      list.line[list.count] = p - t * TILE;
      list.count++;
    }
  }
  return list;
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let s = sizes;
  let index = flat_index(group, groups, local, WG);
  let pixel = index / SPREAD;
  let row = quotient(pixel, s.width); // of all pictures
  let picture = quotient(row, s.height);
  let first = picture * s.tiles_y * s.tiles_x;
  if (first >= s.tiles) {
    return;
  }
  let ys = shown(row - picture * s.height, s.height, s.tiles_y);
  let xs = shown(pixel - row * s.width, s.width, s.tiles_x);
  for (var quad = index % SPREAD; quad < s.quads; quad += SPREAD) {
    var sum = vec4f(0);
    for (var i = 0u; i < ys.count; i++) {
      for (var j = 0u; j < xs.count; j++) {
        let tile = first + ys.tile[i] * s.tiles_x + xs.tile[j];
        let value = ys.line[i] * SIDE + xs.line[j];
        sum += dd[first_value(tile, quad) + value * layer_step()];
      }
    }
    if (ADD) {
      sum += dx[pixel * s.quads + quad];
    }
    dx[pixel * s.quads + quad] = sum;
  }
}
