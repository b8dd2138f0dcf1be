//! Packing: blocks of memory in slots, those that are in use at different times over each other.
//!
//! A block goes where its slot grows least. The search asks only slots that may have room, so that the time for a plan grows
//! with its length and not with the square of it: networks of a thousand layers have a thousand slots.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::DType;

use super::Slot;
use super::full_slots::{FullSlots, others};
use super::life::Life;

/// What is to be placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tenant {
    /// The block's index.
    pub block: usize,
    pub dtype: DType,
    pub elements: u64,
    pub life: Life,
}

impl Tenant {
    pub fn bytes(&self) -> u64 {
        self.elements.saturating_mul(self.dtype.bytes())
    }
}

/// One way to place all temporaries.
pub(super) struct Packing {
    pub slots: Vec<Slot>,
    /// Block, slot and offset of each.
    pub places: Vec<(usize, usize, u64)>,
}

/// Places blocks in the order given. `apart` holds for each block those that may not share a slot with it, because a call
/// writes one and touches the other; `lengths` the calls of each program.
pub(super) fn pack(
    tenants: impl Iterator<Item = Tenant>,
    apart: &[Vec<usize>],
    lengths: &[usize],
) -> Packing {
    // What is fetched is in use one step beyond the last call.
    let starts = lengths.iter().scan(0, |start, length| {
        let own = *start;
        *start += length + 1;
        Some(own)
    });
    let mut packer = Packer {
        slots: Vec::new(),
        members: Vec::new(),
        starts: starts.collect(),
        full: FullSlots::new(lengths.iter().map(|length| length + 1).sum()),
        slot_of: HashMap::new(),
    };
    let places = tenants.map(|tenant| {
        let (slot, offset) = packer.place(&tenant, &apart[tenant.block]);
        (tenant.block, slot, offset)
    });
    Packing {
        places: places.collect(),
        slots: packer.slots,
    }
}

struct Packer {
    slots: Vec<Slot>,
    members: Vec<Members>,
    /// The time at which each program begins, if they run one after the other.
    starts: Vec<usize>,
    /// The slots that one member fills, by the time at which it does.
    full: FullSlots,
    slot_of: HashMap<usize, usize>,
}

impl Packer {
    /// Places a block where its slot grows least.
    fn place(&mut self, tenant: &Tenant, apart: &[usize]) -> (usize, u64) {
        let Tenant {
            block,
            dtype,
            elements: size,
            life,
        } = *tenant;
        let start = self.starts[life.program];
        let time = (start + life.first, start + life.last);
        let taken = apart.iter().filter_map(|other| self.slot_of.get(other));
        let taken: HashSet<usize> = taken.copied().collect();
        let mut best: Option<(u64, usize, u64)> = None;
        let full = self.full.at(time, self.slots.len());
        for slot in others(&full, self.slots.len()) {
            if self.slots[slot].dtype != dtype || taken.contains(&slot) {
                continue;
            }
            let offset = self.members[slot].lowest_gap(time, size);
            let end = offset.saturating_add(size);
            let growth = end.saturating_sub(self.slots[slot].elements);
            let found = (growth, slot, offset);
            if growth < size && best.is_none_or(|best| found < best) {
                best = Some(found);
            }
            // Slots are asked in order, and none grows less.
            if growth == 0 {
                break;
            }
        }
        let (slot, offset) = match best {
            Some((growth, slot, offset)) => {
                if growth > 0 {
                    self.slots[slot].elements += growth;
                    let members = std::mem::take(&mut self.members[slot].filling);
                    members
                        .into_iter()
                        .for_each(|time| self.full.clear(time, slot));
                }
                (slot, offset)
            }
            None => {
                self.slots.push(Slot {
                    dtype,
                    elements: size,
                    persistent: false,
                });
                self.members.push(Members::default());
                (self.slots.len() - 1, 0)
            }
        };
        self.members[slot].insert(time, offset, size);
        if (offset, size) == (0, self.slots[slot].elements) {
            self.members[slot].filling.push(time);
            self.full.set(time, slot);
        }
        self.slot_of.insert(block, slot);
        (slot, offset)
    }
}

/// A member of a slot: the first and the last step of its life, its offset and its end.
type PackedMember = ((usize, usize), u64, u64);

/// What lies in a slot.
#[derive(Default)]
struct Members {
    all: Vec<PackedMember>,
    /// For lives of 2ⁿ up to 2ⁿ⁺¹ steps each: numbers of members by first step. Only where there are many.
    by_length: Vec<BTreeMap<(usize, usize), usize>>,
    /// The lives of members as long as the slot.
    filling: Vec<(usize, usize)>,
}

/// Members that are looked at one by one.
const FEW: usize = 16;

impl Members {
    fn insert(&mut self, life: (usize, usize), offset: u64, size: u64) {
        self.all.push((life, offset, offset.saturating_add(size)));
        let from = match self.all.len() {
            count if count <= FEW => return,
            count if count == FEW + 1 => 0,
            count => count - 1,
        };
        for number in from..self.all.len() {
            let ((first, last), ..) = self.all[number];
            let power = (last - first + 1).ilog2() as usize;
            if self.by_length.len() <= power {
                self.by_length.resize_with(power + 1, BTreeMap::new);
            }
            self.by_length[power].insert((first, number), number);
        }
    }

    /// The parts of the slot that are in use at some step of `life`.
    fn in_use(&self, (first, last): (usize, usize)) -> Vec<(u64, u64)> {
        let alive = |((begin, end), ..): &PackedMember| *begin <= last && first <= *end;
        let part = |&(_, offset, end): &PackedMember| (offset, end);
        if self.all.len() <= FEW {
            let members = self.all.iter().filter(|member| alive(member));
            return members.map(part).collect();
        }
        let classes = self.by_length.iter().enumerate();
        let near = classes.flat_map(|(power, members)| {
            // A life that began earlier than this is over.
            let earliest = (first + 1).saturating_sub(2 << power);
            members.range((earliest, 0)..=(last, usize::MAX))
        });
        let members = near.map(|(_, &number)| &self.all[number]);
        members.filter(|member| alive(member)).map(part).collect()
    }

    /// The first offset where `size` elements overlap no member that is in use at the same time.
    fn lowest_gap(&self, life: (usize, usize), size: u64) -> u64 {
        let mut taken = self.in_use(life);
        taken.sort_unstable();
        let mut gap = 0u64;
        for (start, end) in taken {
            if gap.saturating_add(size) <= start {
                break;
            }
            gap = gap.max(end);
        }
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::{Packing, Tenant, pack};
    use crate::DType;
    use crate::plan::Slot;
    use crate::plan::life::Life;

    /// The specification: of all slots the one that grows least, found by looking at all members of all slots.
    fn packed_by_search(tenants: &[Tenant], apart: &[Vec<usize>]) -> Packing {
        let mut members: Vec<Vec<(Tenant, u64)>> = Vec::new();
        let (mut slots, mut places) = (Vec::<Slot>::new(), Vec::new());
        for tenant in tenants {
            let fits = |slot: &usize| {
                let clashes =
                    |(other, _): &(Tenant, u64)| apart[tenant.block].contains(&other.block);
                slots[*slot].dtype == tenant.dtype && !members[*slot].iter().any(clashes)
            };
            let growth = |slot: usize| {
                let alive = members[slot].iter().filter(|(other, _)| {
                    let (a, b) = (other.life, tenant.life);
                    a.program == b.program && a.first <= b.last && b.first <= a.last
                });
                let mut taken: Vec<(u64, u64)> = alive
                    .map(|(other, at)| (*at, at + other.elements))
                    .collect();
                taken.sort_unstable();
                let mut offset = 0;
                for (start, end) in taken {
                    if offset + tenant.elements <= start {
                        break;
                    }
                    offset = offset.max(end);
                }
                let end = offset + tenant.elements;
                (end.saturating_sub(slots[slot].elements), slot, offset)
            };
            let best = (0..slots.len()).filter(fits).map(growth).min();
            let (slot, offset) = match best.filter(|best| best.0 < tenant.elements) {
                Some((growth, slot, offset)) => {
                    slots[slot].elements += growth;
                    (slot, offset)
                }
                None => {
                    slots.push(Slot {
                        dtype: tenant.dtype,
                        elements: tenant.elements,
                        persistent: false,
                    });
                    members.push(Vec::new());
                    (slots.len() - 1, 0)
                }
            };
            members[slot].push((*tenant, offset));
            places.push((tenant.block, slot, offset));
        }
        Packing { slots, places }
    }

    #[test]
    fn blocks_lie_where_a_search_of_all_slots_puts_them() {
        let mut state = 7u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for (blocks, sizes, length) in [(1, 1, 1), (40, 3, 9), (300, 1, 70), (300, 40, 200)] {
            let tenants: Vec<Tenant> = (0..blocks)
                .map(|block| {
                    let first = draw(length) as usize;
                    let rest = draw(length - first as u64 + 1) as usize;
                    Tenant {
                        block,
                        dtype: [DType::F32, DType::F32, DType::F16][draw(3) as usize],
                        elements: 64 * (1 + draw(sizes)),
                        life: Life {
                            program: draw(2) as usize,
                            first,
                            last: first + rest,
                        },
                    }
                })
                .collect();
            let mut apart = vec![Vec::new(); blocks];
            for _ in 0..blocks {
                let (a, b) = (draw(blocks as u64) as usize, draw(blocks as u64) as usize);
                apart[a].push(b);
                apart[b].push(a);
            }
            let lengths = [length as usize; 2];
            let packed = pack(tenants.iter().copied(), &apart, &lengths);
            let expected = packed_by_search(&tenants, &apart);
            assert_eq!(packed.places, expected.places);
            let elements = |packing: &Packing| -> Vec<u64> {
                packing.slots.iter().map(|slot| slot.elements).collect()
            };
            assert_eq!(elements(&packed), elements(&expected));
        }
    }
}
