//! Facts about numbers that carry their rounding error.

use super::*;

#[test]
fn an_open_comparison_allows_either_side() {
    let x = Tracked {
        value: 1e-8,
        error: 1e-7,
    };
    let zero = Tracked::exact(0.0);
    let step = Tracked::choose(zero.is_less(x), Tracked::exact(1.0), zero);
    assert_eq!((step.value, step.error), (1.0, 1.0));
    let sure = Tracked::choose(
        zero.is_less(Tracked::exact(1e-8)),
        Tracked::exact(1.0),
        zero,
    );
    assert_eq!((sure.value, sure.error), (1.0, 0.0));
}

#[test]
fn no_error_is_lost_or_made_up_far_out() {
    for x in [-3e38, -1e19, -104.0, 0.0, 104.0, 1e19, 3e38] {
        for y in [
            Tracked::exact(x).logistic(),
            Tracked::exact(x).tangent(),
            Tracked::exact(x).normal(),
            (-Tracked::exact(x).magnitude()).power_of_e(),
        ] {
            assert!(y.error >= 0.0 && y.error < 1e-4, "{x}: {y:?}");
        }
    }
}
