// The states of rules that have one.

fn read_states(i: u32) -> States {
    return States(s0[i], vec4(0.0), vec4(0.0));
}

fn write_states(i: u32, before: States, after: States, count: u32) {
    s0[i] = keep_tail(after.a, before.a, count);
}
