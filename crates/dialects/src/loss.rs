//! Keeping account of what a writer could not carry, and refusing instead
//! where the configuration says so.
//!
//! Deliberately not here: what is lost where; each dialect knows its own.

use std::borrow::Cow;

use contract::chat::Chat;
use contract::{DialectId, Fault, Loss};

use crate::dialect::Unsupported;

/// What may be lost of a request that must not lose anything, by the last
/// word of its name: the model is asked the same without it, only the price
/// or the speed differs. It is declared all the same.
const COSMETIC: &[&str] = &["cache_control", "detail"];

/// Whether a loss of a request changes nothing of what the model is asked.
pub fn is_cosmetic(loss: &Loss) -> bool {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let what = last(&loss.what);
    COSMETIC.iter().any(|name| {
        let mut words = crate::DIALECTS.iter().filter_map(|it| it.own_word(name));
        what == *name || words.any(|word| what == last(word))
    })
}

/// What becomes of the losses of a request, in every dialect: they are
/// declared, or the request is refused if one of them is more than cosmetic.
///
/// # Errors
/// `Unsupported` if the configuration refuses instead of dropping.
pub(crate) fn settle(losses: Vec<Loss>, unsupported: Unsupported) -> Result<Vec<Loss>, Fault> {
    let refused: Vec<&Loss> = match unsupported {
        Unsupported::Drop => Vec::new(),
        Unsupported::Refuse => losses.iter().filter(|loss| !is_cosmetic(loss)).collect(),
    };
    let Some(first) = refused.first() else {
        return Ok(losses);
    };
    let all: Vec<String> = refused.iter().map(|it| format!("`{}`", it.what)).collect();
    Err(Fault::unsupported(format!(
        "The model that serves this request cannot take {}: {}. Leave it out, choose another \
         model, or let the gateway drop what a model cannot take.",
        all.join(", "),
        first.why,
    ))
    .at(first.what.clone()))
}

/// The losses of one writing.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    caller: Option<DialectId>,
    list: Vec<Loss>,
}

impl Losses {
    /// No loss yet; they are named in the words of the dialect that the
    /// caller speaks.
    pub(crate) fn told_to(caller: DialectId) -> Self {
        Self {
            caller: Some(caller),
            list: Vec::new(),
        }
    }

    /// Declares that something was left out or changed.
    pub(crate) fn declare(&mut self, what: impl Into<Cow<'static, str>>, why: &'static str) {
        let loss = Loss::new(in_words_of(self.caller, what.into()), why);
        if !self.list.contains(&loss) {
            self.list.push(loss);
        }
    }

    /// Declares the detail word of an image, for vendors that choose the
    /// detail themselves (which `auto` asks for).
    pub(crate) fn detail(&mut self, word: Option<&str>, at: &str) {
        if word.is_some_and(|word| word != "auto") {
            self.declare(
                format!("{at}.detail"),
                "the vendor chooses the detail of images itself",
            );
        }
    }

    /// The losses so far.
    pub(crate) fn list(&self) -> &[Loss] {
        &self.list
    }

    /// The losses of a request, or its refusal: see [`settle`].
    ///
    /// # Errors
    /// `Unsupported` if the configuration refuses instead of dropping.
    pub(crate) fn settled(self, unsupported: Unsupported) -> Result<Vec<Loss>, Fault> {
        settle(self.list, unsupported)
    }

    /// The losses of an answer, which are always declared.
    pub(crate) fn into_vec(self) -> Vec<Loss> {
        self.list
    }
}

/// The name of a parameter as the caller's dialect has it.
pub(crate) fn in_words_of(caller: Option<DialectId>, what: Cow<'static, str>) -> Cow<'static, str> {
    let dialect = caller.and_then(|caller| crate::by_name(caller.0));
    match dialect.and_then(|dialect| dialect.own_word(&what)) {
        Some(word) => Cow::Borrowed(word),
        None => what,
    }
}

/// What a chat asks for that only some vendors have.
pub(crate) fn unusual(chat: &Chat) -> impl Iterator<Item = &'static str> {
    let sampling = &chat.sampling;
    let asked = [
        ("n", chat.n.is_some_and(|n| n > 1)),
        ("logprobs", chat.logprobs.is_some()),
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        (
            "modalities",
            chat.modalities.iter().any(|word| word != "text"),
        ),
        ("audio", chat.audio_out.is_some()),
        ("prompt_cache_key", chat.prompt_cache_key.is_some()),
        ("verbosity", chat.verbosity.is_some()),
        ("store", chat.store == Some(true)),
    ];
    asked
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_in_the_words_of_the_caller() {
        let told = |caller, unsupported| {
            let mut losses = Losses::told_to(DialectId(caller));
            losses.declare("stop", "there are none here");
            losses.declare("reasoning", "no");
            losses.declare("messages[0].name", "no");
            let names: Vec<String> = losses.list.iter().map(|it| it.what.to_string()).collect();
            let refused = losses.settled(unsupported).err();
            (names, refused.map(|fault| fault.public.into_owned()))
        };
        let dropped = |caller| told(caller, Unsupported::Drop).0;
        assert_eq!(
            dropped("anthropic"),
            ["stop_sequences", "thinking", "messages[0].name"]
        );
        assert_eq!(
            dropped("openai_chat"),
            ["stop", "reasoning_effort", "messages[0].name"]
        );
        assert_eq!(dropped("gemini")[0], "generationConfig.stopSequences");
        let (_, refused) = told("bedrock", Unsupported::Refuse);
        assert!(refused.is_some_and(|words| words.contains("`inferenceConfig.stopSequences`")));
    }
}
