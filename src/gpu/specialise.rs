//! A shader cut down to what one pipeline runs: branches that override constants decide are taken here, on the host.
//!
//! Kernels choose their variants by `if` and `switch` over overrides. naga hands every arm to the driver, and a driver
//! inlines all functions before it looks which arms are dead: Mesa's lavapipe 22.3.6 spent 70–160 ms on a matrix product,
//! its disk cache of compiled code warm, nearly all of it on arms that no dispatch takes. So the arms are dropped from
//! naga's tree before wgpu sees it. Nothing is computed here but conditions of Booleans and integers; every expression
//! that is left is the one that was written.

use std::collections::{HashMap, HashSet};

use naga::{
    Arena, BinaryOperator, Block, Expression, Function, Handle, Literal, Module, Scalar,
    ScalarKind, Statement, SwitchCase, SwitchValue, TypeInner, UnaryOperator,
};

/// The arguments of a function that are the same constant in every call; `None` where they are not.
type Arguments = Vec<Option<Literal>>;

/// The module with one entry point, without the arms that these overrides rule out, and without what only they used.
pub(super) fn specialise(module: &Module, entry: &str, overrides: &[(&str, f64)]) -> Module {
    let mut module = module.clone();
    module.entry_points.retain(|point| point.name == entry);
    let mut calls: HashMap<Handle<Function>, Arguments> = HashMap::new();
    let mut points = std::mem::take(&mut module.entry_points);
    for point in &mut points {
        prune(
            &module,
            overrides,
            &Vec::new(),
            &mut point.function,
            &mut calls,
        );
    }
    module.entry_points = points;
    // Callees stand before their callers, so all calls of a function are known when it is reached.
    let functions: Vec<_> = module.functions.iter().map(|(handle, _)| handle).collect();
    for handle in functions.into_iter().rev() {
        let Some(arguments) = calls.remove(&handle) else {
            continue;
        };
        let mut function = std::mem::take(&mut module.functions[handle]);
        prune(&module, overrides, &arguments, &mut function, &mut calls);
        module.functions[handle] = function;
    }
    naga::compact::compact(&mut module, naga::compact::KeepUnused::No);
    module
}

fn prune(
    module: &Module,
    overrides: &[(&str, f64)],
    arguments: &Arguments,
    function: &mut Function,
    calls: &mut HashMap<Handle<Function>, Arguments>,
) {
    let mut pass = Specialiser {
        values: KnownValues {
            module,
            overrides,
            arguments,
            expressions: &function.expressions,
        },
        calls,
        emitted: HashSet::new(),
    };
    function.body = pass.block(std::mem::take(&mut function.body));
    // A name keeps its expression, and that of a dropped arm is computed nowhere.
    let emitted = pass.emitted;
    function
        .named_expressions
        .retain(|handle, _| emitted.contains(handle));
}

struct Specialiser<'a> {
    values: KnownValues<'a>,
    calls: &'a mut HashMap<Handle<Function>, Arguments>,
    /// The expressions that the statements kept so far compute.
    emitted: HashSet<Handle<Expression>>,
}

impl Specialiser<'_> {
    fn block(&mut self, block: Block) -> Block {
        let mut kept = Block::with_capacity(block.len());
        for (mut statement, span) in block.span_into_iter() {
            let mut taken = None;
            match &mut statement {
                Statement::If {
                    condition,
                    accept,
                    reject,
                } => {
                    if let Some(Literal::Bool(holds)) = self.values.of(*condition) {
                        taken = Some(std::mem::take(if holds { accept } else { reject }));
                    } else {
                        self.inside([accept, reject]);
                    }
                }
                Statement::Switch { selector, cases } => self.switch(*selector, cases),
                Statement::Block(inner) => self.inside([inner]),
                Statement::Loop {
                    body, continuing, ..
                } => self.inside([body, continuing]),
                other => self.note(other),
            }
            match taken {
                Some(arm) => kept.extend_block(self.block(arm)),
                None => kept.push(statement, span),
            }
            // Nothing may follow what leaves a block; an arm that was taken can bring such a statement.
            if matches!(
                kept.last(),
                Some(
                    Statement::Return { .. }
                        | Statement::Break
                        | Statement::Continue
                        | Statement::Kill
                )
            ) {
                break;
            }
        }
        kept
    }

    fn inside<const N: usize>(&mut self, blocks: [&mut Block; N]) {
        for block in blocks {
            *block = self.block(std::mem::take(block));
        }
    }

    /// Leaves the arms of a switch that may run: only the one that is selected where the selector is known.
    fn switch(&mut self, selector: Handle<Expression>, cases: &mut Vec<SwitchCase>) {
        let selected = match self.values.of(selector) {
            Some(Literal::U32(value)) => Some(SwitchValue::U32(value)),
            Some(Literal::I32(value)) => Some(SwitchValue::I32(value)),
            _ => None,
        };
        if let Some(selected) = selected {
            let at = |wanted| cases.iter().position(|case| case.value == wanted);
            let first = at(selected).or_else(|| at(SwitchValue::Default));
            cases.drain(..first.unwrap_or(0));
            // An arm that falls through goes on in the next.
            let arms = cases.iter().take_while(|case| case.fall_through).count() + 1;
            cases.truncate(arms);
            if let Some(last) = cases.last_mut() {
                last.value = SwitchValue::Default;
            }
        }
        for case in cases {
            self.inside([&mut case.body]);
        }
    }

    /// Notes which expressions a kept statement computes, and what a call gives to its function: an argument is known as
    /// long as all calls give the same.
    fn note(&mut self, statement: &Statement) {
        match statement {
            Statement::Emit(range) => self.emitted.extend(range.clone()),
            Statement::Call {
                function,
                arguments,
                result,
            } => {
                self.emitted.extend(*result);
                let given: Arguments = arguments
                    .iter()
                    .map(|&value| self.values.of(value))
                    .collect();
                let merge = |known: &mut Arguments| {
                    for (known, given) in known.iter_mut().zip(&given) {
                        if known != given {
                            *known = None;
                        }
                    }
                };
                let known = self.calls.entry(*function);
                known.and_modify(merge).or_insert(given);
            }
            _ => {}
        }
    }
}

/// What is known of a function's expressions.
struct KnownValues<'a> {
    module: &'a Module,
    overrides: &'a [(&'a str, f64)],
    arguments: &'a Arguments,
    expressions: &'a Arena<Expression>,
}

impl KnownValues<'_> {
    fn of(&self, expression: Handle<Expression>) -> Option<Literal> {
        self.value(self.expressions, expression)
    }

    fn value(&self, arena: &Arena<Expression>, expression: Handle<Expression>) -> Option<Literal> {
        let of = |handle| self.value(arena, handle);
        let globals = &self.module.global_expressions;
        match arena[expression] {
            Expression::Literal(literal) => Some(literal),
            Expression::Constant(handle) => self.value(globals, self.module.constants[handle].init),
            Expression::Override(handle) => {
                let constant = &self.module.overrides[handle];
                let given = self
                    .overrides
                    .iter()
                    .find(|(name, _)| constant.name.as_deref() == Some(*name));
                match (given, &self.module.types[constant.ty].inner) {
                    (Some((_, value)), TypeInner::Scalar(scalar)) => literal(*scalar, *value),
                    (Some(_), _) => None,
                    (None, _) => self.value(globals, constant.init?),
                }
            }
            Expression::FunctionArgument(index) => {
                self.arguments.get(index as usize).copied().flatten()
            }
            Expression::Unary {
                op: UnaryOperator::LogicalNot,
                expr,
            } => match of(expr)? {
                Literal::Bool(value) => Some(Literal::Bool(!value)),
                _ => None,
            },
            Expression::Binary { op, left, right } => binary(op, of(left)?, of(right)?),
            _ => None,
        }
    }
}

/// The value of a pipeline constant, as wgpu converts it.
fn literal(scalar: Scalar, value: f64) -> Option<Literal> {
    match (scalar.kind, scalar.width) {
        (ScalarKind::Bool, _) => Some(Literal::Bool(value != 0.0 && !value.is_nan())),
        (ScalarKind::Uint, 4) => Some(Literal::U32(value as u32)),
        (ScalarKind::Sint, 4) => Some(Literal::I32(value as i32)),
        _ => None,
    }
}

fn binary(op: BinaryOperator, left: Literal, right: Literal) -> Option<Literal> {
    use BinaryOperator as B;
    match (left, right) {
        (Literal::U32(a), Literal::U32(b)) => match op {
            B::Add => a.checked_add(b).map(Literal::U32),
            B::Subtract => a.checked_sub(b).map(Literal::U32),
            B::Multiply => a.checked_mul(b).map(Literal::U32),
            B::Divide => a.checked_div(b).map(Literal::U32),
            B::Modulo => a.checked_rem(b).map(Literal::U32),
            _ => compared(op, a.cmp(&b)),
        },
        (Literal::I32(a), Literal::I32(b)) => compared(op, a.cmp(&b)),
        (Literal::Bool(a), Literal::Bool(b)) => match op {
            B::Equal => Some(Literal::Bool(a == b)),
            B::NotEqual => Some(Literal::Bool(a != b)),
            B::And | B::LogicalAnd => Some(Literal::Bool(a && b)),
            B::InclusiveOr | B::LogicalOr => Some(Literal::Bool(a || b)),
            _ => None,
        },
        _ => None,
    }
}

fn compared(op: BinaryOperator, order: std::cmp::Ordering) -> Option<Literal> {
    use BinaryOperator as B;
    let holds = match op {
        B::Equal => order.is_eq(),
        B::NotEqual => order.is_ne(),
        B::Less => order.is_lt(),
        B::LessEqual => order.is_le(),
        B::Greater => order.is_gt(),
        B::GreaterEqual => order.is_ge(),
        _ => return None,
    };
    Some(Literal::Bool(holds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        override WIDE: bool = false;
        override ROWS: u32 = 8;
        @group(0) @binding(0) var<storage, read_write> y: array<f32>;
        fn chosen(which: u32, x: f32) -> f32 {
            switch which {
                case 0u: { return exp(x); }
                case 1u, 2u: { return log(x); }
                default: { return sqrt(x); }
            }
        }
        fn unused(x: f32) -> f32 { return cos(x); }
        @compute @workgroup_size(1) fn forward() {
            if WIDE { let far = y[1]; y[0] = unused(far); return; }
            for (var i = 0u; i < ROWS; i++) {
                if ROWS > 4u { y[i] = chosen(ROWS - 7u, y[i]); } else { y[i] = sin(y[i]); }
            }
        }
        @compute @workgroup_size(1) fn other() { y[0] = 1.0; }";

    /// What is left for these overrides, after naga has found it valid.
    fn left(overrides: &[(&str, f64)]) -> String {
        let module = naga::front::wgsl::parse_str(TEXT).unwrap();
        let module = specialise(&module, "forward", overrides);
        naga::valid::Validator::new(
            naga::valid::ValidationFlags::all(),
            naga::valid::Capabilities::all(),
        )
        .validate(&module)
        .unwrap();
        let mut left = format!("{:?}", module.functions);
        for point in &module.entry_points {
            left.push_str(&format!("{point:?}"));
        }
        left
    }

    #[test]
    fn only_the_arms_that_the_overrides_choose_are_left() {
        let has = |text: &str, functions: [bool; 5]| {
            let names = ["Exp", "Log", "Sqrt", "Sin", "Cos"];
            let found = names.map(|name| text.contains(&format!("fun: {name},")));
            assert_eq!(found, functions, "of {names:?}");
        };
        has(&left(&[]), [false, true, false, false, false]);
        has(&left(&[("ROWS", 7.0)]), [true, false, false, false, false]);
        has(&left(&[("ROWS", 99.0)]), [false, false, true, false, false]);
        has(&left(&[("ROWS", 3.0)]), [false, false, false, true, false]);
        has(&left(&[("WIDE", 1.0)]), [false, false, false, false, true]);
    }
}
