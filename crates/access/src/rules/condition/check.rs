//! What an expression may be made of.

use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, operators};

use super::names::{METADATA, NAMES};
use super::{EXPRESSION_BYTES_MAX, LANGUAGE};
use crate::metadata::Field;
use crate::rules::words::{did_you_mean, shown};

/// Deepest nesting of an expression.
const DEPTH_MAX: usize = 48;

/// Functions that an expression may call, operators aside.
const FUNCTIONS: [&str; 10] = [
    "contains",
    "endsWith",
    "startsWith",
    "size",
    "int",
    "double",
    "string",
    operators::NOT_STRICTLY_FALSE,
    operators::IN,
    operators::INDEX,
];

/// Operators that an expression may use.
const OPERATORS: [&str; 16] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
];

/// What is wrong, and what to write instead.
type Wrong = (String, String);

/// What an expression uses.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Any fact at all.
    anything: bool,
    pub(super) tools: bool,
    pub(super) urls: bool,
    system: bool,
    pub(super) input_tokens: bool,
}

impl Uses {
    /// Whether it needs a look into the body.
    pub(super) fn content(&self) -> bool {
        self.tools || self.urls || self.system
    }
}

/// Reads an expression, and looks through it.
pub(super) fn read(source: &str) -> Result<(Program, Uses), Wrong> {
    if source.len() > EXPRESSION_BYTES_MAX {
        return Err((
            format!(
                "this expression has {} bytes, more than {EXPRESSION_BYTES_MAX}",
                source.len()
            ),
            "split it into several rules".to_owned(),
        ));
    }
    shallow(source)?;
    let program = LANGUAGE.compile(source).map_err(|errors| {
        let first = errors.errors.first();
        let (at, what) = first.map_or((0, ""), |error| (error.pos.1, error.msg.as_str()));
        (
            format!("this is not an expression, at column {at}: {}", shown(what)),
            "see the examples of this rule; texts stand in quotes, `==` compares".to_owned(),
        )
    })?;
    let uses = {
        let mut look = Look::default();
        look.through(program.expression(), 0)?;
        look.uses
    };
    match uses.anything {
        true => Ok((program, uses)),
        false => Err((
            "this expression uses no fact, so it says the same of every call".to_owned(),
            format!("use some of {}", NAMES.join(", ")),
        )),
    }
}

/// Refuses expressions that are too deep, before they are parsed: a parser
/// goes as deep as they do.
fn shallow(source: &str) -> Result<(), Wrong> {
    let mut depth = 0_usize;
    let mut run = 0_usize;
    let mut quote = None;
    let mut bytes = source.bytes();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', Some(_)) => {
                bytes.next();
            }
            (_, Some(open)) if byte == open => quote = None,
            (_, Some(_)) => {}
            (b'"' | b'\'', None) => quote = Some(byte),
            (b'(' | b'[' | b'{' | b'?', None) => depth += 1,
            (b')' | b']' | b'}', None) => depth = depth.saturating_sub(1),
            _ => {}
        }
        run = match byte {
            b'!' | b'-' => run + 1,
            _ => 0,
        };
        if depth > DEPTH_MAX || run > DEPTH_MAX {
            return Err(too_deep());
        }
    }
    Ok(())
}

fn too_deep() -> Wrong {
    (
        format!("this expression is nested more than {DEPTH_MAX} deep"),
        "split it into several rules, or use `in` with a list".to_owned(),
    )
}

/// A look through an expression.
#[derive(Default)]
struct Look<'e> {
    uses: Uses,
    /// Inside of an `exists`, `all` or the like.
    within: Option<&'e ComprehensionExpr>,
    /// Inside of what is done for each item.
    each: bool,
}

impl<'e> Look<'e> {
    fn through(&mut self, at: &'e IdedExpr, depth: usize) -> Result<(), Wrong> {
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        let depth = depth + 1;
        match &at.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name),
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::List(list) => self.all(list.elements.iter(), depth),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if name == METADATA => {
                    self.name(name)?;
                    metadata_field(&select.field)
                }
                Expr::Unspecified
                | Expr::Call(_)
                | Expr::Comprehension(_)
                | Expr::Ident(_)
                | Expr::List(_)
                | Expr::Literal(_)
                | Expr::Map(_)
                | Expr::Select(_)
                | Expr::Struct(_) => Err((
                    format!(
                        "only `metadata` has fields, so `.{}` is none",
                        shown(&select.field)
                    ),
                    "write a name such as `model`, or `metadata.use_case`".to_owned(),
                )),
            },
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.through(&entry.key, depth)?;
                        self.through(&entry.value, depth)?;
                    }
                }
                Ok(())
            }
            Expr::Struct(_) | Expr::Unspecified => Err((
                "this expression makes a message, which conditions do not know".to_owned(),
                "compare facts with texts, numbers and lists".to_owned(),
            )),
        }
    }

    fn all(&mut self, them: impl Iterator<Item = &'e IdedExpr>, depth: usize) -> Result<(), Wrong> {
        for one in them {
            self.through(one, depth)?;
        }
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<(), Wrong> {
        let bound = self.within.is_some_and(|it| {
            it.iter_var == name || it.accu_var == name || it.iter_var2.as_deref() == Some(name)
        });
        if bound {
            return Ok(());
        }
        if !NAMES.contains(&name) {
            return Err((
                format!("there is no fact of the name `{}`", shown(name)),
                did_you_mean(
                    name,
                    NAMES.into_iter(),
                    &format!("use one of {}", NAMES.join(", ")),
                ),
            ));
        }
        if self.each && (name == "tools" || name == "urls") {
            return Err((
                format!("`{name}` is asked for once for each item of a list"),
                "ask each list on its own, and join the answers with `&&` or `||`".to_owned(),
            ));
        }
        self.uses.anything = true;
        self.uses.tools |= name == "tools";
        self.uses.input_tokens |= name == "input_tokens";
        self.uses.urls |= name == "urls";
        self.uses.system |= name == "system";
        Ok(())
    }

    fn call(&mut self, call: &'e CallExpr, depth: usize) -> Result<(), Wrong> {
        let name = call.func_name.as_str();
        if !FUNCTIONS.contains(&name) && !OPERATORS.contains(&name) {
            let known = || FUNCTIONS.into_iter().take(7);
            return Err((
                format!("there is no function of the name `{}`", shown(name)),
                did_you_mean(
                    name,
                    known(),
                    &format!("use one of {}", known().collect::<Vec<_>>().join(", ")),
                ),
            ));
        }
        if let Some(target) = &call.target {
            self.through(target, depth)?;
        }
        self.all(call.args.iter(), depth)
    }

    fn comprehension(&mut self, it: &'e ComprehensionExpr, depth: usize) -> Result<(), Wrong> {
        if self.within.is_some() {
            return Err((
                "an `exists`, `all` or the like stands within another one".to_owned(),
                "ask each list on its own, and join the answers with `&&` or `||`".to_owned(),
            ));
        }
        let taken = [Some(&it.iter_var), it.iter_var2.as_ref()];
        let taken = taken.into_iter().flatten();
        if let Some(name) = taken
            .into_iter()
            .find(|name| NAMES.contains(&name.as_str()))
        {
            return Err((
                format!("`{name}` is the name of a fact, so it cannot stand for an item"),
                "give the item another name, such as `it`".to_owned(),
            ));
        }
        self.within = Some(it);
        self.through(&it.iter_range, depth)?;
        self.through(&it.accu_init, depth)?;
        self.each = true;
        self.through(&it.loop_cond, depth)?;
        self.through(&it.loop_step, depth)?;
        self.each = false;
        self.through(&it.result, depth)?;
        self.within = None;
        Ok(())
    }
}

fn metadata_field(name: &str) -> Result<(), Wrong> {
    match Field::named(name) {
        Some(_) => Ok(()),
        None => {
            let known = || Field::ALL.into_iter().map(Field::name);
            let all = format!("use one of {}", known().collect::<Vec<_>>().join(", "));
            Err((
                format!("there is no metadata of the name `{}`", shown(name)),
                did_you_mean(name, known(), &all),
            ))
        }
    }
}
