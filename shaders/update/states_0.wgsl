// The states of rules that have none.

fn read_states(i: u32) -> States {
    return States();
}

fn write_states(i: u32, before: States, after: States, count: u32) {
}
