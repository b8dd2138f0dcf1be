// The states of rules that have three.

fn read_states(i: u32) -> States {
    return States(s0[i], s1[i], s2[i]);
}

fn write_states(i: u32, before: States, after: States, count: u32) {
    s0[i] = keep_tail(after.a, before.a, count);
    s1[i] = keep_tail(after.b, before.b, count);
    s2[i] = keep_tail(after.c, before.c, count);
}
