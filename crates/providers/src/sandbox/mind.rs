//! How the sandbox decides what to say. The phrases it listens to are the
//! manners that the end-to-end suites expect of any test model (see
//! `docs/sandbox.md`).

use contract::answer::{ChatAnswer, Choice, Finish, FinishReason};
use contract::chat::{
    Chat, Citation, CitationTarget, Effort, Media, OutputFormat, Part, PartKind, ReasoningMode,
    Role, Signature, Tool, ToolCall, ToolChoice, ToolKind, ToolResult,
};
use contract::{DialectId, Fault, Usage, UsageSource};
use sha2::{Digest, Sha256};

use super::{LABEL, NAME, schema};

/// Highest number that `count to N` counts to.
const COUNT_MAX: u32 = 20_000;
/// Characters of one sandbox token at most.
const TOKEN_CHARS: usize = 8;

/// Answers a conversation.
pub(super) fn answer(chat: &Chat) -> Result<ChatAnswer, Fault> {
    check_signatures(chat)?;
    let heard = Heard::new(chat);
    let digest = Sha256::digest(format!("{:?}", chat.turns));
    let seed: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut usage = bill(chat, &heard);
    let mut choices = Vec::new();
    for index in 0..chat.n.unwrap_or(1) {
        let (parts, reason) = say(chat, &heard, &format!("{seed}{index}"));
        for part in &parts {
            count_output(part, &mut usage);
        }
        choices.push(Choice {
            parts,
            finish: Some(reason),
            logprobs: Vec::new(),
        });
    }
    Ok(ChatAnswer {
        id: None,
        model: Some(NAME.to_owned()),
        choices,
        usage: Some(usage),
        ..ChatAnswer::default()
    })
}

/// Input tokens of a conversation.
pub(super) fn input_tokens(chat: &Chat) -> u64 {
    let parts = chat.turns.iter().flat_map(|turn| &turn.parts);
    let turns = chat.turns.len() as u64 * 3;
    let tools: u64 = chat.tools.iter().map(|tool| 8 + tokens(&tool.name)).sum();
    (turns + tools + parts.map(part_tokens).sum::<u64>()).max(1)
}

/// Tokens of a text: words of at most eight characters.
pub(super) fn tokens(text: &str) -> u64 {
    text.split_whitespace()
        .map(|word| word.chars().count().div_ceil(TOKEN_CHARS) as u64)
        .sum()
}

/// What the sandbox noticed in a conversation.
struct Heard<'a> {
    /// The last text of the user.
    user: String,
    lower: String,
    system: String,
    results: Vec<&'a ToolResult>,
    media: Vec<String>,
}

impl<'a> Heard<'a> {
    fn new(chat: &'a Chat) -> Self {
        let texts = |turn: &contract::Turn| -> String {
            let texts: Vec<&str> = turn.parts.iter().filter_map(text_of).collect();
            texts.join("\n")
        };
        let user = chat
            .turns
            .iter()
            .rev()
            .filter(|turn| turn.role == Role::User);
        let user = user
            .map(texts)
            .find(|text| !text.is_empty())
            .unwrap_or_default();
        let system: Vec<String> = chat
            .turns
            .iter()
            .filter(|turn| matches!(turn.role, Role::System | Role::Developer))
            .map(texts)
            .collect();
        let tail = || {
            chat.turns
                .iter()
                .rev()
                .take_while(|turn| turn.role != Role::Assistant)
        };
        let mut results: Vec<&ToolResult> = tail()
            .flat_map(|turn| turn.parts.iter().rev())
            .filter_map(|part| match &part.kind {
                PartKind::ToolResult(result) => Some(result),
                PartKind::Text { .. }
                | PartKind::Image { .. }
                | PartKind::Audio { .. }
                | PartKind::File { .. }
                | PartKind::Thinking { .. }
                | PartKind::RedactedThinking
                | PartKind::ToolCall(_)
                | PartKind::Refusal { .. }
                | PartKind::Opaque { .. } => None,
            })
            .collect();
        results.reverse();
        let own = tail().flat_map(|turn| &turn.parts);
        let media = own
            .chain(results.iter().flat_map(|result| &result.parts))
            .filter_map(medium);
        Self {
            lower: user.to_lowercase(),
            user,
            system: system.join("\n"),
            media: media.collect(),
            results,
        }
    }

    fn says(&self, phrase: &str) -> bool {
        self.lower.contains(phrase)
    }
}

fn text_of(part: &Part) -> Option<&str> {
    match &part.kind {
        PartKind::Text { text, .. } => Some(text),
        PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::Thinking { .. }
        | PartKind::RedactedThinking
        | PartKind::ToolCall(_)
        | PartKind::ToolResult(_)
        | PartKind::Refusal { .. }
        | PartKind::Opaque { .. } => None,
    }
}

/// `image/png 68 bytes`, or where the medium is.
fn medium(part: &Part) -> Option<String> {
    let source = match &part.kind {
        PartKind::Image { source, .. }
        | PartKind::Audio { source, .. }
        | PartKind::File { source, .. } => source,
        PartKind::Text { .. }
        | PartKind::Thinking { .. }
        | PartKind::RedactedThinking
        | PartKind::ToolCall(_)
        | PartKind::ToolResult(_)
        | PartKind::Refusal { .. }
        | PartKind::Opaque { .. } => return None,
    };
    Some(match source {
        Media::Base64 { mime, data } => {
            let padding = data.bytes().rev().take_while(|byte| *byte == b'=').count();
            format!(
                "{mime} {} bytes",
                (data.len() / 4 * 3).saturating_sub(padding)
            )
        }
        Media::Url { url, .. } => url.clone(),
        Media::Id { id, .. } => id.clone(),
        Media::Text { text } => format!("text/plain {} bytes", text.len()),
    })
}

fn say(chat: &Chat, heard: &Heard<'_>, seed: &str) -> (Vec<Part>, Finish) {
    let mut parts = Vec::new();
    if thinks(chat) {
        parts.push(thought(heard));
    }
    if heard.says("please refuse") {
        let text = "[sandbox] I will not do that.".to_owned();
        parts.push(PartKind::Refusal { text }.into());
        return (parts, FinishReason::Refusal.into());
    }
    let calls = calls(chat, heard, seed);
    if !calls.is_empty() {
        parts.extend(calls);
        return (parts, FinishReason::ToolCalls.into());
    }
    let full = words(chat, heard);
    let (text, finish) = shorten(chat, &full);
    if !text.is_empty() {
        let citations = if heard.says("cite") {
            vec![citation(text)]
        } else {
            Vec::new()
        };
        parts.push(
            PartKind::Text {
                text: text.to_owned(),
                citations,
            }
            .into(),
        );
    }
    (parts, finish)
}

fn thinks(chat: &Chat) -> bool {
    chat.reasoning.as_ref().is_some_and(|reasoning| {
        reasoning.mode != Some(ReasoningMode::Disabled)
            && reasoning.effort != Some(Effort::None)
            && reasoning.budget_tokens != Some(0)
    })
}

fn thought(heard: &Heard<'_>) -> Part {
    let gist: String = heard.user.chars().take(60).collect();
    let text = format!("[sandbox] Considering: {gist}");
    let signature = Signature {
        dialect: DialectId::LOCAL,
        value: seal(&text),
    };
    Part {
        signature: Some(signature),
        ..PartKind::Thinking { text }.into()
    }
}

/// The proof over a thought: a digest in base64 alphabet (hexadecimal).
fn seal(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Refuses our own signatures on other texts. Those of vendors who answered
/// earlier turns are none of our business.
fn check_signatures(chat: &Chat) -> Result<(), Fault> {
    for part in chat.turns.iter().flat_map(|turn| &turn.parts) {
        if let (PartKind::Thinking { text }, Some(signature)) = (&part.kind, &part.signature)
            && signature.dialect == DialectId::LOCAL
            && signature.value != seal(text)
        {
            return Err(Fault::bad_request(
                "The signature of a replayed thinking block does not belong to its text. Send the \
                 block back exactly as it came.",
            ));
        }
    }
    Ok(())
}

fn calls(chat: &Chat, heard: &Heard<'_>, seed: &str) -> Vec<Part> {
    let all = || chat.tools.iter();
    let named = |tool: &&Tool| heard.says(&tool.name.to_lowercase());
    let asked = ["weather", "use the tool", "call the tool"]
        .iter()
        .any(|words| heard.says(words));
    let chosen: Vec<&Tool> = match &chat.tool_choice {
        Some(ToolChoice::None) => Vec::new(),
        Some(ToolChoice::Tool { name }) => all().filter(|tool| tool.name == *name).collect(),
        Some(ToolChoice::Required) => all().collect(),
        Some(ToolChoice::Allowed { names, required }) => all()
            .filter(|tool| names.contains(&tool.name) && (*required || named(tool)))
            .collect(),
        Some(ToolChoice::Auto) | None if !heard.results.is_empty() => Vec::new(),
        Some(ToolChoice::Auto) | None if all().any(|tool| named(&tool)) => {
            all().filter(named).collect()
        }
        Some(ToolChoice::Auto) | None if asked => all().collect(),
        Some(ToolChoice::Auto) | None => Vec::new(),
    };
    if chosen.is_empty() {
        return Vec::new();
    }
    let several =
        chat.parallel_tool_calls != Some(false) && (heard.says("both") || heard.says("parallel"));
    let number = if several { 2 } else { 1 };
    (0..number)
        .map(|nth| call(chosen[nth % chosen.len()], heard, nth, seed))
        .collect()
}

fn call(tool: &Tool, heard: &Heard<'_>, nth: usize, seed: &str) -> Part {
    let arguments = match &tool.kind {
        ToolKind::Function { .. } if heard.says("empty arguments") => "{}".to_owned(),
        ToolKind::Function {
            schema: Some(schema),
        } => schema::instance(schema, &heard.user, nth),
        ToolKind::Function { schema: None } => "{}".to_owned(),
        ToolKind::Custom { .. } | ToolKind::Hosted { .. } => format!("input for {}", tool.name),
    };
    let custom = matches!(tool.kind, ToolKind::Custom { .. });
    let id = format!("call_{LABEL}_{seed}{nth}");
    PartKind::ToolCall(ToolCall {
        id,
        name: tool.name.clone(),
        arguments,
        custom,
    })
    .into()
}

fn words(chat: &Chat, heard: &Heard<'_>) -> String {
    match &chat.format {
        OutputFormat::JsonSchema { schema, .. } => return schema::instance(schema, &heard.user, 0),
        OutputFormat::JsonObject => {
            return dialects::json::object(|o| {
                o.str("sandbox", &heard.user);
                o.bool("ok", true);
            });
        }
        OutputFormat::Text => {}
    }
    if !heard.results.is_empty() {
        return report(heard);
    }
    if let Some(at) = heard.lower.find("say exactly: ")
        && let Some(rest) = heard.user.get(at + "say exactly: ".len()..)
    {
        return rest.to_owned();
    }
    if let Some(number) = number_after(&heard.lower, "count to ") {
        let numbers: Vec<String> = (1..=number.min(COUNT_MAX)).map(|n| n.to_string()).collect();
        return numbers.join(" ");
    }
    if heard.says("repeat your instructions") {
        return format!("[sandbox] My instructions are: {}", heard.system);
    }
    if heard.says("how many turns") {
        let turns = chat
            .turns
            .iter()
            .filter(|turn| matches!(turn.role, Role::User | Role::Assistant));
        return format!("[sandbox] This conversation has {} turns.", turns.count());
    }
    let seen = if heard.media.is_empty() {
        String::new()
    } else {
        format!("I see {}. ", heard.media.join(", "))
    };
    format!("[sandbox] {seen}You said: {}", heard.user)
}

fn report(heard: &Heard<'_>) -> String {
    let lines: Vec<String> = heard
        .results
        .iter()
        .map(|result| {
            let texts: Vec<&str> = result.parts.iter().filter_map(text_of).collect();
            let json = result.json.as_ref().map(|json| json.as_str().to_owned());
            let text = texts.join(" ") + &json.unwrap_or_default();
            if result.is_error {
                format!("error: {text}")
            } else {
                text
            }
        })
        .collect();
    let seen = if heard.media.is_empty() {
        String::new()
    } else {
        format!(" I see {}.", heard.media.join(", "))
    };
    format!("[sandbox] The tools report: {}.{seen}", lines.join("; "))
}

fn citation(text: &str) -> Citation {
    let end = text.chars().count() as u32;
    let url = "https://example.com/sandbox".to_owned();
    Citation {
        target: CitationTarget::Url {
            url,
            title: Some("Sandbox".to_owned()),
        },
        cited_text: Some(text.to_owned()),
        span: Some((0, end)),
        raw: None,
    }
}

fn number_after(text: &str, phrase: &str) -> Option<u32> {
    let rest = &text[text.find(phrase)? + phrase.len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Cuts at the first stop sequence, then at the token limit.
fn shorten<'a>(chat: &Chat, full: &'a str) -> (&'a str, Finish) {
    let stop = chat.stop.iter().filter(|stop| !stop.is_empty());
    let stop = stop
        .filter_map(|stop| Some((full.find(stop.as_str())?, stop)))
        .min();
    let (text, finish) = match stop {
        Some((at, stop)) => {
            let finish = Finish {
                reason: FinishReason::StopSequence,
                stop_sequence: Some(stop.clone()),
                native: None,
            };
            (&full[..at], finish)
        }
        None => (full, FinishReason::Stop.into()),
    };
    match chat.output_tokens_max {
        Some(limit) if tokens(text) > u64::from(limit) => {
            (cut(text, u64::from(limit)), FinishReason::Length.into())
        }
        Some(_) | None => (text, finish),
    }
}

/// The longest head of a text that has so many tokens, cut between words.
/// One pass: a caller chooses both the text and the limit.
fn cut(text: &str, limit: u64) -> &str {
    let (mut spent, mut word_chars, mut end) = (0, 0_usize, 0);
    for (at, c) in text.char_indices() {
        if !c.is_whitespace() {
            word_chars += 1;
            continue;
        }
        spent += word_chars.div_ceil(TOKEN_CHARS) as u64;
        word_chars = 0;
        if spent > limit {
            break;
        }
        end = at;
    }
    &text[..end]
}

fn bill(chat: &Chat, heard: &Heard<'_>) -> Usage {
    let total = input_tokens(chat);
    let marked: u64 = {
        let parts: Vec<&Part> = chat.turns.iter().flat_map(|turn| &turn.parts).collect();
        let last = parts.iter().rposition(|part| part.cache.is_some());
        last.map_or(0, |last| {
            parts[..=last].iter().map(|part| part_tokens(part)).sum()
        })
    };
    let (read, write) = match (marked, heard.says("cached")) {
        (0, false) => (0, 0),
        (0, true) => (total / 2, 0),
        (marked, true) => (marked, 0),
        (marked, false) => (0, marked),
    };
    Usage {
        input: total.saturating_sub(read + write),
        cached_read: read,
        cached_write: write,
        source: UsageSource::Provider,
        ..Usage::default()
    }
}

fn count_output(part: &Part, usage: &mut Usage) {
    match &part.kind {
        PartKind::Thinking { text } => usage.reasoning += tokens(text),
        PartKind::Text { .. }
        | PartKind::Refusal { .. }
        | PartKind::ToolCall(_)
        | PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::RedactedThinking
        | PartKind::ToolResult(_)
        | PartKind::Opaque { .. } => usage.output += part_tokens(part),
    }
}

fn part_tokens(part: &Part) -> u64 {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Thinking { text } | PartKind::Refusal { text } => {
            tokens(text)
        }
        PartKind::ToolCall(call) => tokens(&call.name) + tokens(&call.arguments),
        PartKind::ToolResult(result) => {
            result.parts.iter().map(part_tokens).sum::<u64>()
                + result.json.as_ref().map_or(0, |json| tokens(json.as_str()))
        }
        PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::RedactedThinking => 85,
        PartKind::Opaque { json, .. } => tokens(json.as_str()),
    }
}
