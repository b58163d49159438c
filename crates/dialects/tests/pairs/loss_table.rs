//! The table of losses in the book: what each dialect makes of each thing
//! that a caller of another one may ask for, as the writers themselves do it.

use contract::chat::{
    CacheMark, CacheTtl, Chat, Citation, CitationTarget, Part, PartKind, Reasoning, ReasoningMode,
    Role, Signature, Tool, ToolKind,
};
use contract::{DialectId, RawJson, Request, Task};
use tollgate_dialects::Dialect;

use crate::account::silent;
use crate::drive::dialects;
use crate::page;
use crate::request_leaves::{Scope, leaves};
use crate::request_matrix::{Gap, through};
use crate::requests::{self, NOBODY, chat, function, says, turn, user};

/// A row: what is asked for, a chat without it, and the same with it.
type Row = (&'static str, Chat, Chat);

#[test]
fn the_book_tells_the_losses_of_the_writers() {
    let names: Vec<&str> = dialects().map(|dialect| dialect.id().0).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut head = vec![String::new()];
    head.extend(names.iter().map(|name| format!("`{name}`")));
    let mut table = line(head);
    table.push_str(&format!("|{}\n", "---|".repeat(names.len() + 1)));
    for (what, without, with) in rows() {
        let mut cells = vec![what.to_owned()];
        cells.extend(dialects().map(|to| fate(to, &without, &with).to_owned()));
        table.push_str(&line(cells));
    }
    for word in ["kept", "changed", "lost"] {
        assert!(table.contains(word), "nothing is {word}:\n{table}");
    }
    page::hold("docs/dialects.md", "losses", &table);
}

/// What becomes of the difference between two chats.
fn fate(to: &dyn Dialect, without: &Chat, with: &Chat) -> &'static str {
    let asked = |chat: &Chat| Request {
        task: Task::Chat(Box::new(chat.clone())),
        ..requests::all(NOBODY).remove(0).1
    };
    let told = |request: &Request| leaves(request, Scope::Foreign);
    let Ok((before, usual)) = through(to, &asked(without)) else {
        panic!("{} has no form for a plain chat", to.id());
    };
    let (after, losses) = match through(to, &asked(with)) {
        Err(Gap::Declared) => return "refused",
        Err(Gap::Broken(why)) => panic!("{}: {why}", to.id()),
        Ok(done) => done,
    };
    let (plain, before, after) = (told(&asked(without)), told(&before), told(&after));
    let mut wanted = told(&asked(with));
    wanted.retain(|leaf| !plain.contains(leaf));
    let declared = losses.iter().any(|loss| !usual.contains(loss));
    match (declared, after == before) {
        (true, true) => "lost",
        (true, false) => "changed",
        (false, _) if silent(&wanted, &after, &[]).is_empty() => "kept",
        (false, _) => "implied",
    }
}

fn rows() -> Vec<Row> {
    [settings(), tools(), history()].concat()
}

/// A row whose chat is one word, but for what `change` asks for.
fn row(what: &'static str, change: impl FnOnce(&mut Chat)) -> Row {
    let plain = chat(vec![user("Hello")]);
    let mut with = plain.clone();
    change(&mut with);
    (what, plain, with)
}

fn settings() -> Vec<Row> {
    let reason = |mode, budget_tokens| {
        move |chat: &mut Chat| {
            chat.reasoning = Some(Reasoning {
                mode: Some(mode),
                budget_tokens,
                ..Reasoning::default()
            });
        }
    };
    vec![
        row("several answers (`n`)", |chat| chat.n = Some(2)),
        row("`logprobs`", |chat| chat.logprobs = Some(3)),
        row("`temperature` above 1", |chat| {
            chat.sampling.temperature = Some(1.5)
        }),
        row("`top_k`", |chat| chat.sampling.top_k = Some(40)),
        row("`seed`", |chat| chat.sampling.seed = Some(7)),
        row("penalties", |chat| {
            chat.sampling.frequency_penalty = Some(0.5);
            chat.sampling.presence_penalty = Some(0.5);
        }),
        row("`logit_bias`", |chat| {
            chat.sampling.logit_bias = Some(RawJson::new(r#"{"50256":-100}"#));
        }),
        row("stop sequences", |chat| chat.stop = vec!["END".to_owned()]),
        row("six stop sequences", |chat| {
            chat.stop = (0..6).map(|nth| format!("END{nth}")).collect();
        }),
        row("no cap on the output", |chat| chat.output_tokens_max = None),
        row(
            "a reasoning budget",
            reason(ReasoningMode::Enabled, Some(4_096)),
        ),
        row("no reasoning", reason(ReasoningMode::Disabled, None)),
        row("`verbosity`", |chat| {
            chat.verbosity = Some("low".to_owned())
        }),
        row("`store: true`", |chat| chat.store = Some(true)),
        row("`prompt_cache_key`", |chat| {
            chat.prompt_cache_key = Some("group-7".to_owned());
        }),
        row("cache markers", |chat| {
            let ttl = CacheTtl::Default;
            chat.turns[0].parts[0].cache = Some(CacheMark { ttl });
        }),
    ]
}

fn tools() -> Vec<Row> {
    let tool = |kind| Tool {
        kind,
        ..function("shell")
    };
    let free = |format: Option<&str>| {
        tool(ToolKind::Custom {
            format: format.map(RawJson::new),
        })
    };
    let with = |tool| Chat {
        tools: vec![tool],
        ..chat(vec![user("Hello")])
    };
    let grammar = r#"{"type":"grammar","syntax":"regex","definition":"[a-z]+"}"#;
    vec![
        (
            "grammars of free-text tools",
            with(free(None)),
            with(free(Some(grammar))),
        ),
        (
            "tools that another vendor runs",
            chat(vec![user("Hello")]),
            with(tool(ToolKind::Hosted {
                dialect: DialectId("elsewhere"),
                json: RawJson::new(r#"{"type":"search"}"#),
            })),
        ),
        (
            "forbidden parallel calls",
            with(function("weather")),
            Chat {
                parallel_tool_calls: Some(false),
                ..with(function("weather"))
            },
        ),
    ]
}

fn history() -> Vec<Row> {
    let answered = |parts: Vec<Part>| {
        chat(vec![
            user("Hello"),
            turn(Role::Assistant, parts),
            user("And now?"),
        ])
    };
    let thought = Part {
        signature: Some(Signature {
            dialect: NOBODY,
            value: "c2ln".to_owned(),
        }),
        ..PartKind::Thinking {
            text: "A greeting.".to_owned(),
        }
        .into()
    };
    let cited = PartKind::Text {
        text: "Hi".to_owned(),
        citations: vec![Citation {
            target: CitationTarget::Url {
                url: "https://example.com/".to_owned(),
                title: Some("T".to_owned()),
            },
            cited_text: Some("Hi".to_owned()),
            span: None,
            raw: None,
        }],
    };
    let said = || Part::text("Hi");
    vec![
        (
            "thinking of another vendor",
            answered(vec![said()]),
            answered(vec![thought, said()]),
        ),
        (
            "citations in the history",
            answered(vec![said()]),
            answered(vec![cited.into()]),
        ),
        row("names of participants", |chat| {
            chat.turns[0].name = Some("ada".to_owned());
        }),
        (
            "a system message in the middle",
            answered(vec![said()]),
            chat(vec![
                user("Hello"),
                turn(Role::Assistant, vec![said()]),
                says(Role::System, "Be brief."),
                user("And now?"),
            ]),
        ),
        (
            "an assistant who speaks first",
            chat(vec![user("Thanks")]),
            chat(vec![says(Role::Assistant, "Welcome."), user("Thanks")]),
        ),
    ]
}
