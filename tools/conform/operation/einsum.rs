//! Einstein's sums, from Kiln's tensors.

use std::collections::BTreeMap;

use kiln::Tensor;

use super::rearrange;
use crate::conform::Stop;

/// Products of all operands, summed over the letters that the result does not have: `ij,jk->ik`. Without an arrow the result
/// has the letters that occur once, in the order of the alphabet.
pub fn einsum(equation: &str, operands: &[Tensor]) -> Result<Tensor, Stop> {
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    if text.contains('.') {
        return Stop::unsupported("sums with an ellipsis");
    }
    let (left, right) = text.split_once("->").unwrap_or((&text, ""));
    let result: Vec<char> = match text.contains("->") {
        true => right.chars().collect(),
        false => {
            let letters = left.chars().filter(|c| c.is_alphabetic());
            let mut once: Vec<char> = letters.filter(|&c| left.matches(c).count() == 1).collect();
            once.sort_unstable();
            once
        }
    };
    let terms: Vec<Vec<char>> = left.split(',').map(|term| term.chars().collect()).collect();
    if terms.len() != operands.len() {
        return Stop::unsupported(format!("{} operands for {equation}", operands.len()));
    }
    // The letters of the product: those of the result, then what is summed.
    let mut letters = result.clone();
    for &letter in terms.iter().flatten() {
        if !letters.contains(&letter) {
            letters.push(letter);
        }
    }
    let factors = terms.iter().zip(operands);
    let factors: Vec<Tensor> = factors
        .map(|(term, x)| aligned(term, x, &letters))
        .collect();
    let (first, rest) = factors.split_at(1);
    let product = rest
        .iter()
        .fold(first[0].clone(), |product, x| product.mul(x));
    let summed = result.len()..product.shape().rank();
    Ok(summed
        .rev()
        .fold(product, |sum, axis| sum.sum_over(axis as isize)))
}

/// An operand with a dimension for every letter, of size one for those that it does not have.
fn aligned(term: &[char], x: &Tensor, letters: &[char]) -> Tensor {
    let mut sizes = BTreeMap::new();
    for (&letter, &size) in term.iter().zip(x.shape().dims()) {
        sizes.insert(letter, size);
    }
    let own: Vec<char> = letters
        .iter()
        .copied()
        .filter(|l| sizes.contains_key(l))
        .collect();
    let dims: Vec<usize> = own.iter().map(|letter| sizes[letter]).collect();
    let x = if own.len() == term.len() {
        let place = |letter: &char| term.iter().position(|own| own == letter).unwrap_or(0) as isize;
        let order: Vec<isize> = own.iter().map(place).collect();
        if order.is_sorted() {
            x.clone()
        } else {
            x.permute(&order)
        }
    } else {
        diagonal(term, x, &own, &dims)
    };
    let wide: Vec<usize> = letters
        .iter()
        .map(|l| sizes.get(l).copied().unwrap_or(1))
        .collect();
    x.reshape(wide)
}

/// The elements in which the indices of one letter are equal.
fn diagonal(term: &[char], x: &Tensor, own: &[char], dims: &[usize]) -> Tensor {
    let count: usize = dims.iter().product();
    let place = |number: usize| {
        let mut rest = number;
        let mut at = BTreeMap::new();
        for (&letter, &size) in own.iter().zip(dims).rev() {
            at.insert(letter, rest % size);
            rest /= size;
        }
        let indices = term.iter().zip(x.shape().dims().to_vec());
        indices.fold(0, |flat, (letter, size)| flat * size + at[letter])
    };
    let places: Vec<usize> = (0..count).map(place).collect();
    let places = rearrange::constants(x.graph(), &[count], &places);
    x.reshape([x.shape().elements() as usize])
        .take(0, &places)
        .reshape(dims)
}
