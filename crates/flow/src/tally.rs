//! What the evidence takes from a whole answer.

use contract::Answer;
use dialects::Tally;

/// What the evidence needs of an answer.
pub(crate) fn take(answer: &Answer, tally: &mut Tally) {
    match answer {
        Answer::Chat(chat) => {
            tally.usage = chat.usage;
            let finish = chat
                .choices
                .first()
                .and_then(|choice| choice.finish.as_ref());
            tally.finish = finish.map(|finish| finish.reason);
            tally.id.clone_from(&chat.id);
            tally.model.clone_from(&chat.model);
        }
        Answer::Embed(embed) => {
            tally.usage = embed.usage;
            tally.model.clone_from(&embed.model);
        }
        Answer::Count(_) => {}
    }
    tally.ended = true;
}
