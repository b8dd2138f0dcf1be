// The states of rules that have two.

fn read_states(i: u32) -> States {
    return States(s0[i], s1[i], vec4(0.0));
}

fn write_states(i: u32, before: States, after: States, count: u32) {
    s0[i] = keep_tail(after.a, before.a, count);
    s1[i] = keep_tail(after.b, before.b, count);
}
