//! A test before a kernel's first statement: nothing is done where a word of one more binding is set.
//!
//! WebGPU cannot leave a recorded dispatch out, but every invocation can return at once. Put into naga's tree, not into the
//! kernels' texts, so that any of them can be guarded and none has to know: see `op::Guarded`.

use naga::{
    AddressSpace, ArraySize, BinaryOperator, Block, Expression, GlobalVariable, Literal,
    MemoryDecorations, Module, Range, ResourceBinding, Scalar, Span, Statement, StorageAccess,
    Type, TypeInner,
};

/// Puts `if guard[word] != 0 { return; }` before the module's one entry point, `guard` being an array of words at `binding`.
///
/// The word is the same for all invocations, so that barriers after the test are met by all or by none.
pub(super) fn guard(module: &mut Module, binding: u32, word: u32) {
    let span = Span::UNDEFINED;
    let mut kind = |inner| module.types.insert(Type { name: None, inner }, span);
    let base = kind(TypeInner::Scalar(Scalar::U32));
    let ty = kind(TypeInner::Array {
        base,
        size: ArraySize::Dynamic,
        stride: 4,
    });
    let guard = GlobalVariable {
        name: Some("guard".into()),
        space: AddressSpace::Storage {
            access: StorageAccess::LOAD,
        },
        binding: Some(ResourceBinding { group: 0, binding }),
        ty,
        init: None,
        memory_decorations: MemoryDecorations::empty(),
    };
    let guard = module.global_variables.append(guard, span);
    for point in &mut module.entry_points {
        let function = &mut point.function;
        let mut put = |expression| function.expressions.append(expression, span);
        let base = put(Expression::GlobalVariable(guard));
        let right = put(Expression::Literal(Literal::U32(0)));
        let pointer = put(Expression::AccessIndex { base, index: word });
        let left = put(Expression::Load { pointer });
        let condition = put(Expression::Binary {
            op: BinaryOperator::NotEqual,
            left,
            right,
        });
        let mut body = Block::new();
        body.push(
            Statement::Emit(Range::new_from_bounds(pointer, condition)),
            span,
        );
        let mut accept = Block::new();
        accept.push(Statement::Return { value: None }, span);
        body.push(
            Statement::If {
                condition,
                accept,
                reject: Block::new(),
            },
            span,
        );
        body.extend_block(std::mem::take(&mut function.body));
        function.body = body;
    }
}
