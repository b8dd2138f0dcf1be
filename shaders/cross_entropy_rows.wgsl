// Cross-entropy of logits along a row, for the shaders that define `number(i)`, a logit, and `weight(row, i)`, its target.
//
// With d = z − max z and L = ln Σ e^d:  loss = L·Σt − Σ t·d,  dz = e^d/Σ e^d·Σt − t, to be multiplied by dloss.

struct Powers {
    largest: f32,
    sum: f32,
    weights: f32,
}

fn row_powers(row: Row, local: u32) -> Powers {
    var largest = number(row.start);
    for (var i = row.first; i < row.end; i += LANES) {
        largest = max(largest, number(i));
    }
    largest = row_max(local, largest);
    var sum = 0.0;
    var weights = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        sum += exp_nan(number(i) - largest);
        weights += weight(row, i);
    }
    return Powers(largest, row_sum(local, sum), row_sum(local, weights));
}

fn loss_of_logits(row: Row, local: u32, powers: Powers) -> f32 {
    var distance = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        let w = weight(row, i);
        // A class that is ruled out by a logit of −∞ and by its target costs nothing.
        distance -= select(w * (number(i) - powers.largest), 0.0, w == 0.0);
    }
    distance = row_sum(local, distance);
    return keep_nan(powers.sum, powers.weights * log1p(powers.sum - 1.0) + distance);
}

fn slope_of_logit(row: Row, i: u32, powers: Powers) -> f32 {
    let p = keep_nan(powers.sum, exp_nan(number(i) - powers.largest) / powers.sum);
    return p * powers.weights - weight(row, i);
}
