// Input gradient of the Winograd convolution from the gradients of its overlapping tiles:
//   dx[n,y,x,c] (+)= sum over padded positions q that show (y,x), over tiles t that cover q,
//     of dd[q in t][t][c]
// A pixel is shown by itself and, next to an edge, by its mirror image in the padding (the fold of the
// reflection). One invocation per pixel and every SPREAD-th quad of channels: it owns its sums, their order
// is fixed. dd[6 i + j][tile][C] -> dx [N,H,W,C]. WG, SPREAD: any. ADD: adds to what dx holds. Pixels away
// from the edges have a way of their own, without arrays: three times as fast on lavapipe.
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

// Whether no mirror image shows coordinate `u`.
fn unmirrored(u: u32, size: u32) -> bool {
  return u != 1 && u + 2 != size;
}

// Index of the first quad of padded position p in a tile.
fn place(p: vec2u, tile: vec2u, first: u32) -> u32 {
  let value = (p.y - tile.y * TILE) * SIDE + p.x - tile.x * TILE;
  return first_value(first + tile.y * sizes.tiles_x + tile.x, 0) + value * layer_step();
}

fn store(pixel: u32, quad: u32, sum: vec4f) {
  let to = pixel * sizes.quads + quad;
  if (ADD) {
    dx[to] += sum;
  } else {
    dx[to] = sum;
  }
}

// A pixel that only itself shows: the sum over the one, two or four tiles that cover it.
fn store_inner(pixel: u32, position: vec2u, first: u32, spread: u32) {
  let p = position + 1;
  let low = (max(p, vec2u(2)) - 2) / TILE;
  let high = min(p / TILE, vec2u(sizes.tiles_x, sizes.tiles_y) - 1);
  let wide = high.x > low.x;
  let tall = high.y > low.y;
  let corners = vec4u(
    place(p, low, first),
    place(p, vec2u(high.x, low.y), first),
    place(p, vec2u(low.x, high.y), first),
    place(p, high, first),
  );
  for (var quad = spread; quad < sizes.quads; quad += SPREAD) {
    var sum = dd[corners.x + quad];
    if (wide) {
      sum += dd[corners.y + quad];
    }
    if (tall) {
      sum += dd[corners.z + quad];
    }
    if (wide && tall) {
      sum += dd[corners.w + quad];
    }
    store(pixel, quad, sum);
  }
}

// A pixel that mirror images show too.
fn store_edge(pixel: u32, position: vec2u, first: u32, spread: u32) {
  let ys = shown(position.y, sizes.height, sizes.tiles_y);
  let xs = shown(position.x, sizes.width, sizes.tiles_x);
  for (var quad = spread; quad < sizes.quads; quad += SPREAD) {
    var sum = vec4f(0);
    for (var i = 0u; i < ys.count; i++) {
      for (var j = 0u; j < xs.count; j++) {
        let tile = first + ys.tile[i] * sizes.tiles_x + xs.tile[j];
        let value = ys.line[i] * SIDE + xs.line[j];
        sum += dd[first_value(tile, quad) + value * layer_step()];
      }
    }
    store(pixel, quad, sum);
  }
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = flat_index(group, groups, local, WG);
  let pixel = index / SPREAD;
  let row = quotient(pixel, sizes.width); // of all pictures
  let picture = quotient(row, sizes.height);
  let first = picture * sizes.tiles_y * sizes.tiles_x;
  if (first >= sizes.tiles) {
    return;
  }
  let position = vec2u(pixel - row * sizes.width, row - picture * sizes.height);
  if (unmirrored(position.x, sizes.width) && unmirrored(position.y, sizes.height)) {
    store_inner(pixel, position, first, index % SPREAD);
  } else {
    store_edge(pixel, position, first, index % SPREAD);
  }
}
