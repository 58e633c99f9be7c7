// Ceiling of arithmetic: chains of fused multiply-adds that depend on nothing but themselves, no memory.
//   v = v * x + y, LOOPS * 8 times
// Each invocation owns 2, 3, 4 or 8 vec4f of independent chains (entries chains8 .. chains32) and one element
// of o, which keeps the compiler from leaving everything out. LOOPS: any; WG: any.
const LOOPS: u32 = 128;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read_write> o: array<f32>;

struct Two { a: vec4f, b: vec4f }
struct Three { a: vec4f, b: vec4f, c: vec4f }
struct Four { a: vec4f, b: vec4f, c: vec4f, d: vec4f }

fn two(v: Two, x: vec4f, y: vec4f) -> Two {
  return Two(fma(v.a, x, y), fma(v.b, x, y));
}

fn three(v: Three, x: vec4f, y: vec4f) -> Three {
  return Three(fma(v.a, x, y), fma(v.b, x, y), fma(v.c, x, y));
}

fn four(v: Four, x: vec4f, y: vec4f) -> Four {
  return Four(fma(v.a, x, y), fma(v.b, x, y), fma(v.c, x, y), fma(v.d, x, y));
}

fn start(id: u32, k: f32) -> vec4f {
  return f32(id) * 0.001 + vec4f(k, k + 0.25, k + 0.5, k + 0.75);
}

fn factor(id: u32) -> vec4f {
  return vec4f(f32(id % 7u) * 0.001 + 0.9);
}

fn addend(id: u32) -> vec4f {
  return vec4f(f32(id % 5u) * 0.01);
}

fn total(v: vec4f) -> f32 {
  return dot(v, vec4f(1.0));
}

@compute @workgroup_size(WG)
fn chains8(@builtin(global_invocation_id) id: vec3u) {
  let x = factor(id.x);
  let y = addend(id.x);
  var v = Two(start(id.x, 0.0), start(id.x, 1.0));
  for (var k = 0u; k < LOOPS; k++) {
    v = two(two(two(two(v, x, y), x, y), x, y), x, y);
    v = two(two(two(two(v, x, y), x, y), x, y), x, y);
  }
  o[id.x] = total(v.a + v.b);
}

@compute @workgroup_size(WG)
fn chains12(@builtin(global_invocation_id) id: vec3u) {
  let x = factor(id.x);
  let y = addend(id.x);
  var v = Three(start(id.x, 0.0), start(id.x, 1.0), start(id.x, 2.0));
  for (var k = 0u; k < LOOPS; k++) {
    v = three(three(three(three(v, x, y), x, y), x, y), x, y);
    v = three(three(three(three(v, x, y), x, y), x, y), x, y);
  }
  o[id.x] = total(v.a + v.b + v.c);
}

@compute @workgroup_size(WG)
fn chains16(@builtin(global_invocation_id) id: vec3u) {
  let x = factor(id.x);
  let y = addend(id.x);
  var v = Four(start(id.x, 0.0), start(id.x, 1.0), start(id.x, 2.0), start(id.x, 3.0));
  for (var k = 0u; k < LOOPS; k++) {
    v = four(four(four(four(v, x, y), x, y), x, y), x, y);
    v = four(four(four(four(v, x, y), x, y), x, y), x, y);
  }
  o[id.x] = total(v.a + v.b + v.c + v.d);
}

@compute @workgroup_size(WG)
fn chains32(@builtin(global_invocation_id) id: vec3u) {
  let x = factor(id.x);
  let y = addend(id.x);
  var v = Four(start(id.x, 0.0), start(id.x, 1.0), start(id.x, 2.0), start(id.x, 3.0));
  var w = Four(start(id.x, 4.0), start(id.x, 5.0), start(id.x, 6.0), start(id.x, 7.0));
  for (var k = 0u; k < LOOPS; k++) {
    v = four(v, x, y); w = four(w, x, y);
    v = four(v, x, y); w = four(w, x, y);
    v = four(v, x, y); w = four(w, x, y);
    v = four(v, x, y); w = four(w, x, y);
    v = four(v, x, y); w = four(w, x, y);
    v = four(v, x, y); w = four(w, x, y);
    v = four(v, x, y); w = four(w, x, y);
    v = four(v, x, y); w = four(w, x, y);
  }
  o[id.x] = total(v.a + v.b + v.c + v.d) + total(w.a + w.b + w.c + w.d);
}
