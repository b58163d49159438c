//! What rules may see of a body, taken from the canonical request.

use access::{Content, ToolFact};
use contract::chat::{Chat, Media, Part, PartKind, Role, ToolKind};
use contract::{Request, Task};

/// Most URLs that are taken from one request; beyond them it is told as a
/// URL that no rule allows.
const URLS_MAX: usize = 1_000;

/// The content of a request.
pub(super) fn of(request: &Request) -> Content {
    let mut content = Content::default();
    match &request.task {
        Task::Chat(chat) | Task::CountTokens(chat) => of_chat(chat, &mut content),
        Task::Embed(_) => {}
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
                ToolKind::Hosted { .. } => "hosted",
            },
        })
        .collect();
    for turn in &chat.turns {
        content.system |= match turn.role {
            Role::System | Role::Developer => true,
            Role::User | Role::Assistant => false,
        };
        turn.parts.iter().for_each(|part| of_part(part, content));
    }
}

fn of_part(part: &Part, content: &mut Content) {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => links(text, content),
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
                links(json.as_str(), content);
            }
        }
        PartKind::ToolCall(call) => links(&call.arguments, content),
        PartKind::Opaque { json, .. } => links(json.as_str(), content),
        PartKind::Thinking { .. } | PartKind::RedactedThinking => {}
    }
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
