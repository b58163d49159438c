//! From YAML text to a tree that knows where each thing stands.
//!
//! Deliberately not here: types. Whether `on` is a text or a switch is decided
//! by the field it is written for, so nothing is guessed from its looks.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::diagnostic::{Diagnostic, Place};

/// Most nodes of a document, copies by alias included: a small file must not
/// unfold into a large one.
const NODES_MAX: usize = 200_000;
/// Deepest nesting.
const DEPTH_MAX: usize = 32;
/// Largest document, bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// A node of the tree.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) body: Body,
}

/// What a node is.
#[derive(Clone)]
pub(crate) enum Body {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Node {
    /// Nothing was written, or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.body, Body::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn size(&self) -> usize {
        match &self.body {
            Body::Scalar { .. } => 1,
            Body::List(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Body::Map(fields) => {
                1 + fields
                    .iter()
                    .map(|(_, node)| 1 + node.size())
                    .sum::<usize>()
            }
        }
    }
}

/// Parses one document.
///
/// # Errors
/// The one place where the text is not YAML, or is more than one document.
pub(crate) fn parse(text: &str) -> Result<Node, Diagnostic> {
    if text.len() > BYTES_MAX {
        return Err(Diagnostic::error(
            "",
            "the file is larger than 8 MiB",
            "a configuration is a few kilobytes; check that this is the right file",
        ));
    }
    let mut composer = Composer {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut root = None;
    while let Some((event, span)) = composer.next()? {
        match event {
            Event::DocumentStart(..) if root.is_some() => {
                return Err(fail(
                    place(&span),
                    "the file holds a second document",
                    "write one document; remove the `---` and what follows",
                ));
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd => {}
            node => root = Some(composer.node(node, &span, 0)?),
        }
    }
    let nothing = Node {
        place: Place {
            line: 1,
            column: 1,
            length: 1,
        },
        body: Body::Map(Vec::new()),
    };
    Ok(root.filter(|node| !node.is_null()).unwrap_or(nothing))
}

struct Composer<I> {
    events: I,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'input, I> Composer<I>
where
    I: Iterator<Item = Result<(Event<'input>, Span), serde_saphyr::granit_parser::ScanError>>,
{
    /// The next event that is not a comment.
    fn next(&mut self) -> Result<Option<(Event<'input>, Span)>, Diagnostic> {
        loop {
            match self.events.next() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(next)) => return Ok(Some(next)),
                Some(Err(error)) => {
                    let at = error.marker();
                    let place = Place {
                        line: at.line().max(1),
                        column: at.col() + 1,
                        length: 1,
                    };
                    return Err(fail(
                        place,
                        format!("this is not valid YAML: {}", error.kind()),
                        "check indentation, quotes and brackets here and on the line above; a tab \
                         cannot indent",
                    ));
                }
            }
        }
    }

    fn node(
        &mut self,
        event: Event<'input>,
        span: &Span,
        depth: usize,
    ) -> Result<Node, Diagnostic> {
        let at = place(span);
        if depth > DEPTH_MAX {
            return Err(fail(
                at,
                "this is nested too deeply",
                "no option needs more than a few levels; check the brackets",
            ));
        }
        self.count(1, at)?;
        let (body, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (
                Body::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                },
                anchor,
            ),
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let Some(known) = self.anchors.get(&anchor).cloned() else {
                    return Err(fail(
                        at,
                        "this alias stands inside the thing it names",
                        "write the value out",
                    ));
                };
                self.count(known.size(), at)?;
                return Ok(known);
            }
            _ => {
                return Err(fail(at, "a value was expected here", "write a value"));
            }
        };
        let node = Node { place: at, body };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Body, Diagnostic> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
        Ok(Body::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Body, Diagnostic> {
        let mut fields: Vec<(Key, Node)> = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.key(event, &span, depth)?;
            if let Some((first, _)) = fields.iter().find(|(known, _)| known.text == key.text) {
                return Err(fail(
                    key.place,
                    format!(
                        "`{}` is written twice; the first is on line {}",
                        key.text, first.place.line
                    ),
                    "keep one of the two",
                ));
            }
            let Some((event, span)) = self.next()? else {
                break;
            };
            let value = self.node(event, &span, depth + 1)?;
            fields.push((key, value));
        }
        Ok(Body::Map(fields))
    }

    fn key(&mut self, event: Event<'input>, span: &Span, depth: usize) -> Result<Key, Diagnostic> {
        let node = self.node(event, span, depth + 1)?;
        match node.body {
            Body::Scalar { text, plain } if plain && text == "<<" => Err(fail(
                node.place,
                "merge keys (`<<`) are not supported",
                "write the fields out, or use an alias (`*name`) for a whole value",
            )),
            Body::Scalar { text, .. } => Ok(Key {
                place: node.place,
                text,
            }),
            Body::List(_) | Body::Map(_) => Err(fail(
                node.place,
                "a name was expected here, not a list or mapping",
                "write `name: value`; quote a value that begins with `{` or `[`",
            )),
        }
    }

    fn count(&mut self, nodes: usize, at: Place) -> Result<(), Diagnostic> {
        self.nodes += nodes;
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        Err(fail(
            at,
            "the document is too large once its aliases are followed",
            "write fewer aliases",
        ))
    }
}

fn fail(place: Place, what: impl Into<String>, instead: &str) -> Diagnostic {
    Diagnostic::error("", what, instead).at(place)
}

fn place(span: &Span) -> Place {
    let (start, end) = (&span.start, &span.end);
    let length = if start.line() == end.line() {
        end.col().saturating_sub(start.col())
    } else {
        // To the end of the line, wherever that is.
        usize::MAX / 2
    };
    Place {
        line: start.line().max(1),
        column: start.col() + 1,
        length: length.max(1),
    }
}
