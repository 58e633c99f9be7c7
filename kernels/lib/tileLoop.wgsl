// The loop of a matrix product by tiles: while one tile is multiplied, the loads of the next are under way,
// and it goes into the other half of workgroup memory, so that one barrier a step suffices.
// The kernel has `struct Source`, `load_left` and `load_right` (an invocation's quad of the tile that starts
// at k, zero outside) and `store`; lib/tile.wgsl has the rest.

// Sums over k below `depth`, which is uniform in the workgroup. Each piece of code is there once, for shader
// compilers on processors: a round loads a tile, multiplies the one before, and keeps what it loaded.
fn sum_tiles(source: Source, depth: u32, i: u32) -> Sums {
  var sums = Sums();
  var tile = 0u;
  for (var k = 0u; ; k += DEPTH) {
    var a = vec4f(0);
    var b = vec4f(0);
    if (k < depth) {
      a = load_left(source, i, k);
      b = load_right(source, i, k);
    }
    if (k > 0) {
      sums = add_products(sums, TILE - tile, i);
    }
    if (k >= depth) {
      return sums;
    }
    keep(tile, i, a, b);
    workgroupBarrier();
    tile = TILE - tile;
  }
}
