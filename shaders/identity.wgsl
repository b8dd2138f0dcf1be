// What `value_of` and `slope_of` are in a shader that is given no function.
fn value_of(x: f32, c: vec3<f32>) -> f32 { return x; }
fn slope_of(saved: f32, c: vec3<f32>) -> f32 { return 1.0; }
