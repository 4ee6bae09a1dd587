//! What a text may be made of: values, filters and conditions, and nothing that repeats, assigns or calculates. So no
//! text can grow beyond its own length and its values, and every mistake has a place.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt, UnaryOpKind};
use minijinja::machinery::{Span, parse};

use super::builtin::FILTERS;
use super::values::{VARIABLES, Variable};
use crate::notification_type::NotificationType;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What is wrong with a text, and where if that can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub(super) struct Mistake {
    pub(super) words: String,
    pub(super) at: Option<Position>,
}

impl Mistake {
    fn new(words: String, text: &str, offset: Option<usize>) -> Mistake {
        Mistake { words, at: offset.map(|offset| position(text, offset)) }
    }

    /// What the template engine says of `text`.
    pub(super) fn from_engine(error: &minijinja::Error, text: &str) -> Mistake {
        let words = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Mistake::new(words, text, error.range().map(|range| range.start))
    }
}

fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or(before);
    Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
}

/// Checks that a text is well-formed, stays within what texts may do, and uses only the variables of its type.
pub(super) fn check(text: &str, kind: NotificationType) -> Result<(), Mistake> {
    // The second argument is a name for the engine's errors, which we do not show.
    let parsed =
        parse(text, "text", Default::default()).map_err(|error| Mistake::from_engine(&error, text))?;
    let found =
        |(span, words): Refusal| Err(Mistake::new(words, text, usize::try_from(span.start_offset).ok()));
    statement(&parsed, kind).or_else(found)
}

/// Where, and what is wrong there.
type Refusal = (Span, String);

fn statement(stmt: &Stmt<'_>, kind: NotificationType) -> Result<(), Refusal> {
    let all = |stmts: &[Stmt<'_>]| stmts.iter().try_for_each(|stmt| statement(stmt, kind));
    let refused = |span| Err((span, "expected a value, or {% if %}; no other statement is known".to_owned()));
    match stmt {
        Stmt::Template(template) => all(&template.children),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::EmitExpr(emit) => expression(&emit.expr, kind),
        Stmt::IfCond(condition) => {
            expression(&condition.expr, kind)?;
            all(&condition.true_body)?;
            all(&condition.false_body)
        }
        Stmt::ForLoop(it) => refused(it.span()),
        Stmt::WithBlock(it) => refused(it.span()),
        Stmt::Set(it) => refused(it.span()),
        Stmt::SetBlock(it) => refused(it.span()),
        Stmt::AutoEscape(it) => refused(it.span()),
        Stmt::FilterBlock(it) => refused(it.span()),
        Stmt::Do(it) => refused(it.span()),
    }
}

fn expression(expr: &Expr<'_>, kind: NotificationType) -> Result<(), Refusal> {
    let refused = |words: &str| Err((expr.span(), words.to_owned()));
    match expr {
        Expr::Const(_) => Ok(()),
        Expr::Var(_) | Expr::GetAttr(_) => variable(expr, kind),
        Expr::Filter(filter) => {
            if !FILTERS.contains(&filter.name) {
                return Err((
                    expr.span(),
                    format!("unknown filter {}; expected one of {}", filter.name, FILTERS.join(", ")),
                ));
            }
            filter.expr.iter().try_for_each(|inner| expression(inner, kind))?;
            filter.args.iter().try_for_each(|argument| match argument {
                CallArg::Pos(inner) => expression(inner, kind),
                _ => refused("expected plain arguments"),
            })
        }
        Expr::IfExpr(it) => {
            expression(&it.test_expr, kind)?;
            expression(&it.true_expr, kind)?;
            it.false_expr.iter().try_for_each(|inner| expression(inner, kind))
        }
        Expr::Compare(it) => {
            expression(&it.expr, kind)?;
            it.ops.iter().try_for_each(|op| expression(&op.expr, kind))
        }
        Expr::UnaryOp(it) if matches!(it.op, UnaryOpKind::Not) => expression(&it.expr, kind),
        Expr::BinOp(it) => match it.op {
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::ScAnd
            | BinOpKind::ScOr => {
                expression(&it.left, kind)?;
                expression(&it.right, kind)
            }
            _ => refused("expected a value; texts do not calculate"),
        },
        _ => refused("expected a variable, a filter or a comparison; nothing else is known"),
    }
}

fn variable(expr: &Expr<'_>, kind: NotificationType) -> Result<(), Refusal> {
    let Some((name, span)) = dotted(expr) else {
        return Err((expr.span(), "expected a variable such as client.name".to_owned()));
    };
    match Variable::named(&name) {
        Some(variable) if variable.is_for(kind) => Ok(()),
        Some(_) => Err((span, format!("{name} is not known to {kind}"))),
        None => {
            let group = name.split('.').next();
            let known =
                VARIABLES.iter().filter(|variable| variable.is_for(kind)).map(|variable| variable.name);
            let near: Vec<&str> = known.clone().filter(|name| name.split('.').next() == group).collect();
            let expected = if near.is_empty() { known.collect() } else { near };
            Err((span, format!("unknown variable {name}; expected one of {}", expected.join(", "))))
        }
    }
}

/// `booking.date` from the tree, and where it starts; `None` if something other than names is between the dots.
fn dotted(expr: &Expr<'_>) -> Option<(String, Span)> {
    match expr {
        Expr::Var(it) => Some((it.id.to_owned(), it.span())),
        Expr::GetAttr(it) => {
            let (before, span) = dotted(&it.expr)?;
            Some((format!("{before}.{}", it.name), span))
        }
        _ => None,
    }
}
