//! Views over a scanned document: typed, lazy, and able to name their own
//! path for an error message.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use contract::text::{Extras, RawJson};
use contract::{Fault, FaultKind, Origin};

use super::scan::{Flaw, Node, Rules, Tape};
use super::unescape;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number.
    Number,
    /// A string without escapes.
    String,
    /// A string with escapes.
    EscapedString,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    fn described(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::True | Kind::False => "a boolean",
            Kind::Number => "a number",
            Kind::String | Kind::EscapedString => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }
}

/// A body and its scan.
#[derive(Clone, Debug)]
pub struct Doc {
    bytes: Bytes,
    tape: Tape,
}

impl Doc {
    /// Scans a caller's body.
    ///
    /// # Errors
    /// A `BadRequest` that says what is wrong, in which line and column.
    pub fn request(bytes: Bytes) -> Result<Self, Fault> {
        match Tape::scan(&bytes, &Rules::REQUEST) {
            Ok(tape) => Ok(Self { bytes, tape }),
            Err(flaw) => Err(Fault::bad_request(place(&flaw, &bytes, "The request body"))),
        }
    }

    /// Scans a provider's body.
    ///
    /// # Errors
    /// An `UpstreamBroken` that says what is wrong.
    pub fn answer(bytes: Bytes) -> Result<Self, Fault> {
        match Tape::scan(&bytes, &Rules::ANSWER) {
            Ok(tape) => Ok(Self { bytes, tape }),
            Err(flaw) => Err(broken(&flaw, &bytes)),
        }
    }

    /// The bytes that were scanned.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Where strings and keys of more than this many bytes stand, in order.
    pub fn strings_over(&self, bytes: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let long = move |node: &&Node| {
            (node.end - node.start) as usize > bytes
                && matches!(node.kind, Kind::String | Kind::EscapedString)
        };
        let nodes = self.tape.nodes.iter().filter(long);
        nodes.map(|node| node.start as usize..node.end as usize)
    }

    /// The outermost value.
    pub fn root(&self) -> Json<'_> {
        self.tape.root(&self.bytes)
    }
}

/// The fault of a provider whose JSON is flawed.
pub(crate) fn broken(flaw: &Flaw, bytes: &[u8]) -> Fault {
    let (line, column) = flaw.line_column(bytes);
    Fault::upstream_broken(
        "The provider answered with something that is not valid JSON. \
         Try again; if it persists, look at the provider's status.",
    )
    .because(format!(
        "{} at line {line}, column {column}",
        flaw.message()
    ))
}

fn place(flaw: &Flaw, bytes: &[u8], whose: &str) -> String {
    let (line, column) = flaw.line_column(bytes);
    format!(
        "{whose} is not acceptable JSON: {} at line {line}, column {column}. \
         Correct it and send it again.",
        flaw.message()
    )
}

impl Tape {
    /// The outermost value of the text that was scanned.
    pub fn root<'a>(&'a self, text: &'a [u8]) -> Json<'a> {
        Json {
            text,
            nodes: &self.nodes,
            at: 0,
        }
    }
}

/// One value of a scanned document.
#[derive(Clone, Copy)]
pub struct Json<'a> {
    text: &'a [u8],
    nodes: &'a [Node],
    at: usize,
}

impl std::fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.raw())
    }
}

impl<'a> Json<'a> {
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Where it stands in the body, quotes included.
    pub fn span(&self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// Its text as it came, quotes included.
    pub fn raw(&self) -> &'a str {
        std::str::from_utf8(&self.text[self.span()]).expect("the scan checked UTF-8")
    }

    /// Its text as it came, owned.
    pub fn to_raw(&self) -> RawJson {
        RawJson::new(self.raw())
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// The text of a string.
    pub fn str(&self) -> Option<Cow<'a, str>> {
        let inner = self.span().start + 1..self.span().end.saturating_sub(1);
        match self.kind() {
            Kind::String => Some(Cow::Borrowed(
                std::str::from_utf8(&self.text[inner]).expect("the scan checked UTF-8"),
            )),
            Kind::EscapedString => Some(unescape::text(&self.text[inner])),
            Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Array | Kind::Object => {
                None
            }
        }
    }

    /// Bytes of the text of a string as it stands there, escapes included; 0
    /// for other kinds.
    pub fn text_bytes(&self) -> usize {
        match self.kind() {
            Kind::String | Kind::EscapedString => self.span().len().saturating_sub(2),
            Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Array | Kind::Object => 0,
        }
    }

    /// A boolean.
    pub fn bool(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            Kind::Null
            | Kind::Number
            | Kind::String
            | Kind::EscapedString
            | Kind::Array
            | Kind::Object => None,
        }
    }

    /// A number that is a whole, non-negative one.
    pub fn u64(&self) -> Option<u64> {
        let digits = &self.text[self.span()];
        let whole = self.kind() == Kind::Number && digits.iter().all(u8::is_ascii_digit);
        if !whole {
            return None;
        }
        digits.iter().try_fold(0_u64, |number, digit| {
            number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
    }

    /// A number that is a whole one.
    pub fn i64(&self) -> Option<i64> {
        self.number()?.parse().ok()
    }

    /// A finite number.
    pub fn f64(&self) -> Option<f64> {
        self.number()?
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
    }

    fn number(&self) -> Option<&'a str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// The value of a key, if this is an object that has it. `null` is
    /// returned as a value; most callers want [`Json::field`].
    pub fn get(&self, key: &str) -> Option<Json<'a>> {
        self.members()
            .find(|member| member.is(key))
            .map(|member| member.value)
    }

    /// The value of a key, where `null` counts as absent.
    pub fn field(&self, key: &str) -> Option<Json<'a>> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Keys and values of an object, in order; nothing for other kinds.
    pub fn members(&self) -> impl Iterator<Item = Member<'a>> + use<'a> {
        let this = *self;
        let end = if self.kind() == Kind::Object {
            self.node().next as usize
        } else {
            0
        };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let member = Member {
                key: this.with(at),
                value: this.with(at + 1),
            };
            at = this.nodes[at + 1].next as usize;
            Some(member)
        })
    }

    /// Items of an array, in order; nothing for other kinds.
    pub fn items(&self) -> impl Iterator<Item = Json<'a>> + use<'a> {
        let this = *self;
        let end = if self.kind() == Kind::Array {
            self.node().next as usize
        } else {
            0
        };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let item = this.with(at);
            at = item.node().next as usize;
            Some(item)
        })
    }

    /// Whether this is an object without members or an array without items.
    pub fn is_empty(&self) -> bool {
        self.node().next as usize == self.at + 1
    }

    /// The path from the outermost value, such as `messages[2].content`.
    pub fn path(&self) -> String {
        let mut path = String::new();
        let mut here = self.with(0);
        while here.at != self.at {
            let Some(below) = here.step_towards(self.at, &mut path) else {
                break;
            };
            here = below;
        }
        path
    }

    fn step_towards(&self, target: usize, path: &mut String) -> Option<Json<'a>> {
        let holds = |child: &Json<'a>| (child.at..child.node().next as usize).contains(&target);
        if self.kind() == Kind::Array {
            let (index, item) = self.items().enumerate().find(|(_, item)| holds(item))?;
            path.push_str(&format!("[{index}]"));
            return Some(item);
        }
        let member = self
            .members()
            .find(|member| member.key.at == target || holds(&member.value))?;
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&member.name());
        Some(if member.key.at == target {
            member.key
        } else {
            member.value
        })
    }

    fn with(&self, at: usize) -> Json<'a> {
        Json { at, ..*self }
    }

    fn node(&self) -> &'a Node {
        &self.nodes[self.at]
    }
}

/// A key and its value.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The key, a string.
    pub key: Json<'a>,
    /// The value.
    pub value: Json<'a>,
}

impl<'a> Member<'a> {
    /// The key's text.
    pub fn name(&self) -> Cow<'a, str> {
        self.key.str().expect("a key is a string")
    }

    /// The key's text as bytes, for matching against literals: nothing is
    /// checked again that the scan checked.
    pub fn name_bytes(&self) -> Cow<'a, [u8]> {
        match self.key.kind() {
            Kind::String => {
                let span = self.key.span();
                Cow::Borrowed(&self.key.text[span.start + 1..span.end - 1])
            }
            Kind::EscapedString
            | Kind::Null
            | Kind::True
            | Kind::False
            | Kind::Number
            | Kind::Array
            | Kind::Object => Cow::Owned(self.name().into_owned().into_bytes()),
        }
    }

    /// Whether the key's text is `name`.
    pub fn is(&self, name: &str) -> bool {
        match self.key.kind() {
            Kind::String => {
                let span = self.key.span();
                &self.key.text[span.start + 1..span.end - 1] == name.as_bytes()
            }
            Kind::EscapedString
            | Kind::Null
            | Kind::True
            | Kind::False
            | Kind::Number
            | Kind::Array
            | Kind::Object => self.name() == name,
        }
    }
}

/// Reading with faults: every method names the path of what is wrong.
impl<'a> Json<'a> {
    /// A `BadRequest` about this value.
    pub fn fault(&self, what: impl std::fmt::Display) -> Fault {
        let path = self.path();
        let place = if path.is_empty() {
            "The request body".to_owned()
        } else {
            format!("`{path}`")
        };
        Fault::bad_request(format!("{place}: {what}.")).at(path)
    }

    /// An `Unsupported` about this value.
    pub fn unsupported(&self, what: impl std::fmt::Display) -> Fault {
        let mut fault = self.fault(what);
        fault.kind = FaultKind::Unsupported;
        fault
    }

    /// The value of a key that must be there.
    ///
    /// # Errors
    /// A `BadRequest` that names the missing key.
    pub fn need(&self, key: &str) -> Result<Json<'a>, Fault> {
        self.field(key).ok_or_else(|| {
            let path = self.path();
            let full = if path.is_empty() {
                key.to_owned()
            } else {
                format!("{path}.{key}")
            };
            Fault::bad_request(format!("`{full}` is missing; it is required here.")).at(full)
        })
    }

    /// This value as a string.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn as_str(&self) -> Result<Cow<'a, str>, Fault> {
        self.str().ok_or_else(|| self.expected("a string"))
    }

    /// This value as a boolean.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn as_bool(&self) -> Result<bool, Fault> {
        self.bool().ok_or_else(|| self.expected("a boolean"))
    }

    /// This value as a whole number that fits 32 bits.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn as_u32(&self) -> Result<u32, Fault> {
        self.u64()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| self.expected("a whole number from 0 to 4294967295"))
    }

    /// This value as a whole number.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn as_u64(&self) -> Result<u64, Fault> {
        self.u64()
            .ok_or_else(|| self.expected("a whole, non-negative number"))
    }

    /// This value as a finite number.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn as_f64(&self) -> Result<f64, Fault> {
        self.f64().ok_or_else(|| self.expected("a number"))
    }

    /// This value, which must be an array.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn as_array(&self) -> Result<Json<'a>, Fault> {
        if self.kind() == Kind::Array {
            Ok(*self)
        } else {
            Err(self.expected("an array"))
        }
    }

    /// This value, which must be an object.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn as_object(&self) -> Result<Json<'a>, Fault> {
        if self.kind() == Kind::Object {
            Ok(*self)
        } else {
            Err(self.expected("an object"))
        }
    }

    /// A string that must be there.
    ///
    /// # Errors
    /// A `BadRequest` if it is missing or something else.
    pub fn need_str(&self, key: &str) -> Result<Cow<'a, str>, Fault> {
        self.need(key)?.as_str()
    }

    /// An optional string.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn opt_str(&self, key: &str) -> Result<Option<Cow<'a, str>>, Fault> {
        self.field(key).map(|value| value.as_str()).transpose()
    }

    /// An optional string, owned.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn opt_string(&self, key: &str) -> Result<Option<String>, Fault> {
        Ok(self.opt_str(key)?.map(Cow::into_owned))
    }

    /// An optional boolean.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>, Fault> {
        self.field(key).map(|value| value.as_bool()).transpose()
    }

    /// An optional whole number.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn opt_u32(&self, key: &str) -> Result<Option<u32>, Fault> {
        self.field(key).map(|value| value.as_u32()).transpose()
    }

    /// An optional number.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn opt_f64(&self, key: &str) -> Result<Option<f64>, Fault> {
        self.field(key).map(|value| value.as_f64()).transpose()
    }

    /// An optional array.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn opt_array(&self, key: &str) -> Result<Option<Json<'a>>, Fault> {
        self.field(key).map(|value| value.as_array()).transpose()
    }

    /// An optional object.
    ///
    /// # Errors
    /// A `BadRequest` if it is something else.
    pub fn opt_object(&self, key: &str) -> Result<Option<Json<'a>>, Fault> {
        self.field(key).map(|value| value.as_object()).transpose()
    }

    /// The members whose keys are not in `known`.
    pub fn rest(&self, known: &[&str]) -> Extras {
        let unknown = self
            .members()
            .filter(|member| !known.iter().any(|key| member.is(key)));
        Extras {
            fields: unknown
                .map(|member| (member.name().into_owned(), member.value.to_raw()))
                .collect(),
        }
    }

    /// A `BadRequest` that says what was expected and what is there.
    pub fn expected(&self, what: &str) -> Fault {
        self.fault(format_args!(
            "expected {what}, found {}",
            self.kind().described()
        ))
    }
}

/// Turns a fault of reading into the provider's: what we read was its answer.
pub fn blame_provider(fault: Fault) -> Fault {
    if fault.origin == Origin::Provider {
        return fault;
    }
    Fault::upstream_broken(
        "The provider answered in a form that its own documents do not describe. \
         Try again; if it persists, look at the provider's status.",
    )
    .because(fault.public.into_owned())
}
