// Mean squared distances of two tensors from the same goals, as KIND 1 of main.wgsl has one: a
// discriminator's two kinds of logits in one launch each way.
//   y_h = sum over goals k of the mean of (a_h - goal[k])^2 over part k of GOALS equal parts of a_h
//   da_h = dy_h 2 (a_h - goal) / (COUNT_h / GOALS)
// forward: workgroup h owns y_h[0]; lanes are added in a fixed order.
// backward: one invocation per element of a_0, then of a_1. WG is a multiple of 8.
// needs: flat total
const COUNT0: u32 = 1;
const COUNT1: u32 = 1;
const GOALS: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> a0: array<f32>;
@group(0) @binding(1) var<storage, read> a1: array<f32>;
@group(0) @binding(2) var<storage, read> goal: array<f32>;
@group(0) @binding(3) var<storage, read> dy0: array<f32>;
@group(0) @binding(4) var<storage, read> dy1: array<f32>;
// forward: both means. backward: da0 and da1.
@group(0) @binding(5) var<storage, read_write> y0: array<f32>;
@group(0) @binding(6) var<storage, read_write> y1: array<f32>;

fn distance0(i: u32) -> f32 {
  return a0[i] - goal[i / (COUNT0 / GOALS)];
}

fn distance1(i: u32) -> f32 {
  return a1[i] - goal[i / (COUNT1 / GOALS)];
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  if (group.x == 0) {
    for (var i = local; i < COUNT0; i += WG) {
      sum += distance0(i) * distance0(i);
    }
    sum /= f32(COUNT0 / GOALS);
  } else {
    for (var i = local; i < COUNT1; i += WG) {
      sum += distance1(i) * distance1(i);
    }
    sum /= f32(COUNT1 / GOALS);
  }
  let all = total(local, vec2f(sum, 0)).x;
  if (local == 0) {
    if (group.x == 0) {
      y0[0] = all;
    } else {
      y1[0] = all;
    }
  }
}

@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < COUNT0) {
    y0[i] = dy0[0] * 2 * distance0(i) / f32(COUNT0 / GOALS);
  } else if (i < COUNT0 + COUNT1) {
    y1[i - COUNT0] = dy1[0] * 2 * distance1(i - COUNT0) / f32(COUNT1 / GOALS);
  }
}
