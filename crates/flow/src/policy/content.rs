//! What rules may see of a body, taken from the canonical request.

mod servers;

use std::borrow::Cow;

use access::{Content, ToolFact};
use contract::chat::{Chat, Media, Part, PartKind, Role, ToolKind};
use contract::request::EmbedInput;
use contract::{RawJson, Request, Task};

/// Most URLs that are taken from one request; beyond them it is told as a
/// URL that no rule allows.
const URLS_MAX: usize = 1_000;

/// Fields of one dialect or another, outside its list of tools, by which a
/// call offers tools that the provider runs.
const OFFERING: [&str; 3] = ["mcp_servers", "plugins", "web_search_options"];
/// Fields by which a call brings instructions that are kept elsewhere.
const INSTRUCTING: [&str; 2] = ["prompt", "cachedContent"];

/// The kind of tools that the provider runs.
const HOSTED: &str = "hosted";

/// The content of a request.
pub(super) fn of(request: &Request) -> Content {
    let mut content = Content::default();
    match &request.task {
        Task::Chat(chat) | Task::CountTokens(chat) => of_chat(chat, &mut content),
        Task::Embed(embed) => {
            for input in &embed.inputs {
                if let EmbedInput::Text(text) = input {
                    links(text, &mut content);
                }
            }
        }
    }
    for (path, value) in &request.extras.fields {
        let name = path.rsplit('.').next().unwrap_or(path);
        if OFFERING.contains(&name) {
            content.tools.push(ToolFact {
                name: name.into(),
                kind: HOSTED,
            });
            of_server(name, value, &mut content);
        }
        content.system |= INSTRUCTING.contains(&name);
        links_of_json(value, &mut content);
    }
    content
}

fn of_chat(chat: &Chat, content: &mut Content) {
    content.tools = chat
        .tools
        .iter()
        .map(|tool| ToolFact {
            name: tool.name.as_str().into(),
            kind: match tool.kind {
                ToolKind::Function { .. } => "function",
                ToolKind::Custom { .. } => "custom",
                ToolKind::Hosted { .. } => HOSTED,
            },
        })
        .collect();
    for tool in &chat.tools {
        if let ToolKind::Hosted { json, .. } = &tool.kind {
            of_server(&tool.name, json, content);
        }
    }
    for turn in &chat.turns {
        content.system |= match turn.role {
            Role::System | Role::Developer => true,
            Role::User | Role::Assistant => false,
        };
        turn.parts.iter().for_each(|part| of_part(part, content));
    }
}

/// The tools of a server that the provider calls.
fn of_server(name: &str, json: &RawJson, content: &mut Content) {
    if !servers::runs_others(name) {
        return;
    }
    match servers::listed(json) {
        Some(names) => content.tools.extend(
            names
                .into_iter()
                .map(|name| ToolFact { name, kind: HOSTED }),
        ),
        None => content.servers.push(name.into()),
    }
}

fn of_part(part: &Part, content: &mut Content) {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } | PartKind::Thinking { text } => {
            links(text, content)
        }
        PartKind::Image { source, .. }
        | PartKind::Audio { source, .. }
        | PartKind::File { source, .. } => match source {
            Media::Url { url, .. } => push(url, content),
            Media::Text { text } => links(text, content),
            Media::Base64 { .. } | Media::Id { .. } => {}
        },
        PartKind::ToolResult(result) => {
            result.parts.iter().for_each(|part| of_part(part, content));
            if let Some(json) = &result.json {
                links_of_json(json, content);
            }
        }
        PartKind::ToolCall(call) => links(&unescaped(&call.arguments), content),
        PartKind::Opaque { json, .. } => links_of_json(json, content),
        PartKind::RedactedThinking => {}
    }
}

fn links_of_json(json: &RawJson, content: &mut Content) {
    links(&unescaped(json.as_str()), content);
}

/// JSON with its slashes, colons and dots written plainly: `\/` and `\u002f`
/// hide no link.
fn unescaped(json: &str) -> Cow<'_, str> {
    if !json.contains('\\') {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let hex = tail.strip_prefix('u').and_then(|code| code.get(..4));
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        match code.and_then(char::from_u32) {
            Some(c) => {
                out.push(c);
                rest = &tail[5..];
            }
            None => {
                let c = tail.chars().next().unwrap_or(' ');
                out.push(match c {
                    '/' => '/',
                    _ => ' ',
                });
                rest = &tail[c.len_utf8().min(tail.len())..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Links in a text: from a scheme with `://` to the next blank, quote or
/// bracket.
fn links(text: &str, content: &mut Content) {
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let head = &rest[..at];
        let scheme = head
            .char_indices()
            .rev()
            .take_while(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
            .last()
            .map_or(at, |(start, _)| start);
        let tail = &rest[at + 3..];
        let end = tail
            .find(|c: char| {
                c.is_whitespace()
                    || c.is_control()
                    || matches!(c, '"' | '\'' | '<' | '>' | ')' | ']' | '}' | '`')
            })
            .unwrap_or(tail.len());
        if scheme < at {
            push(&rest[scheme..at + 3 + end], content);
        }
        rest = &tail[end..];
    }
}

fn push(url: &str, content: &mut Content) {
    if content.urls.len() < URLS_MAX {
        content.urls.push(url.into());
    } else if content.urls.len() == URLS_MAX {
        content.urls.push("too-many-urls:".into());
    }
}

#[cfg(test)]
mod tests {
    //! Cases: text, the links in it.

    use super::*;

    #[test]
    fn escapes_hide_no_link() {
        for json in [
            r#"{"u":"https:\/\/evil.example\/x"}"#,
            r#"{"u":"https\u003a\u002F\u002fevil.example/x"}"#,
            r#"{"u":"\u0068ttps://evil.example/x"}"#,
        ] {
            let mut content = Content::default();
            links_of_json(&RawJson::new(json), &mut content);
            assert_eq!(&*content.urls[0], "https://evil.example/x", "{json}");
        }
        for odd in [r"\", r"\u", r"\u12", r"\ud800x", r#"\"https://a"#] {
            unescaped(odd);
        }
    }

    #[test]
    fn links_are_found() {
        let cases: [(&str, &[&str]); 6] = [
            (
                "see https://a.example/x?y=1, ok",
                &["https://a.example/x?y=1,"],
            ),
            (
                "[t](http://a.example) and <ftp://b>",
                &["http://a.example", "ftp://b"],
            ),
            ("no scheme ://x", &[]),
            ("\"https://u@h:1/\"", &["https://u@h:1/"]),
            (
                "\u{4f60}https://\u{4f8b}.example",
                &["https://\u{4f8b}.example"],
            ),
            ("", &[]),
        ];
        for (text, wanted) in cases {
            let mut content = Content::default();
            links(text, &mut content);
            let found: Vec<&str> = content.urls.iter().map(|url| &**url).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
