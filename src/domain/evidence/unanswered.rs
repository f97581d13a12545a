//! What a flagged credential made and nobody answered: a person hears of each by name, or by the call's ID where nobody
//! could read that.

use crate::child::{Child, Maker};
use crate::text;
use crate::told::Alert;

/// Of a link that nothing leads on from.
const NOT_LOOKED_FOR: &str = "what it made was not looked for";

/// How many are named in one alert: as many as reports name at most.
const MOST_NAMED: usize = 100;

/// What nobody answered, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The call, as CloudTrail has it.
    pub event: String,
    pub what: String,
    pub why: String,
}

impl Unanswered {
    pub fn without_place(child: &Child, most: u32) -> Self {
        let why = format!("all places are taken (MAX_CHILDREN={most})");
        Self { event: child.event.clone(), what: child.words(), why }
    }

    pub fn unread(child: &Child, failure: &str) -> Self {
        let why = format!("whose it is could not be read: {failure}; it may be deleted, and {NOT_LOOKED_FOR}");
        Self { event: child.event.clone(), what: child.words(), why }
    }

    /// Nothing is left to contain, and what it made meanwhile is nobody's child.
    pub fn gone(child: &Child) -> Self {
        Self { event: child.event.clone(), what: child.words(), why: format!("it was deleted, and {NOT_LOOKED_FOR}") }
    }

    /// Its owner is held by a response that follows none of its keys.
    pub fn held(child: &Child) -> Self {
        let why = format!("its owner is denied everything by another response, and {NOT_LOOKED_FOR}");
        Self { event: child.event.clone(), what: child.words(), why }
    }

    /// A call that the report names, of which nothing else is known.
    pub fn call(event: &str, why: &str) -> Self {
        Self { event: event.to_owned(), what: call(event), why: why.to_owned() }
    }

    /// Whether nobody could read what it made.
    fn is_call(&self) -> bool {
        self.what == call(&self.event)
    }

    fn line(&self) -> String {
        text::line(&format!("- {}: {}", self.what, self.why), 500)
    }
}

fn call(event: &str) -> String {
    format!("CloudTrail event {event}")
}

/// How a person reads what we could not.
fn look_up(maker: &Maker) -> String {
    let region = maker.partition.iam_region().unwrap_or(maker.region.as_str());
    format!(
        "- what an event made that stands here by its ID alone says, in the account: aws cloudtrail lookup-events \
         --region {region} --lookup-attributes AttributeKey=EventId,AttributeValue=ID"
    )
}

pub fn alert(maker: &Maker, unanswered: &[Unanswered]) -> Alert {
    let Maker { account, id, name, response, .. } = maker;
    let mut lines: Vec<_> = unanswered.iter().take(MOST_NAMED).map(Unanswered::line).collect();
    if let Some(more) = unanswered.len().checked_sub(MOST_NAMED).filter(|it| *it > 0) {
        lines.push(format!("- and {more} more"));
    }
    lines.extend(unanswered.iter().any(Unanswered::is_call).then(|| look_up(maker)));
    let lines = lines.join("\n");
    Alert {
        subject: text::subject(&format!("Not answered: made with a flagged credential of {name}, account {account}")),
        text: format!(
            "What a flagged credential of {name} ({id}) in account {account} made, and nobody answered:\n{lines}\n\n\
             {name} was contained by {response}. What is listed here works as before, unless its line says otherwise.\n\n\
             What to do: look at each in the report on {id} and in CloudTrail. Send `contain` for a user who is the \
             intruder's, and deactivate a key that is. Where what it made was not looked for, look that up in CloudTrail \
             by the user's name and the access key: it may work."
        ),
        attributes: vec![
            ("kind", "children".to_owned()),
            ("account", account.to_string()),
            ("verdict", "NotAnswered".to_owned()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Made;
    use crate::fixtures::parsed;

    #[test]
    fn each_is_named_with_why_up_to_a_number() {
        let maker = Maker {
            account: parsed("111122223333"),
            partition: parsed("aws"),
            region: parsed("us-east-1"),
            id: parsed("AIDACKCEVSQ6C2EXAMPLE"),
            name: parsed("alice"),
            response: "compromised-credential@2026-11-20T09:12:48Z".to_owned(),
        };
        let made = Made::User { id: parsed("AIDAMALLORY000EXAMPLE"), name: parsed("mallory") };
        let child = Child { event: "an-event".to_owned(), made };
        let one = Unanswered::without_place(&child, 10);
        let it = alert(&maker, std::slice::from_ref(&one));
        let line = "- user mallory (AIDAMALLORY000EXAMPLE), event an-event: all places are taken (MAX_CHILDREN=10)\n";
        assert!(it.text.contains(line) && it.subject.contains("alice") && !it.text.contains("more"), "{}", it.text);
        let links = [Unanswered::gone(&child), Unanswered::unread(&child, "AccessDenied"), Unanswered::held(&child)];
        let text = alert(&maker, &links).text;
        assert!(text.contains("event an-event: it was deleted, and what it made was not looked for\n"), "{text}");
        assert!(text.contains("it may be deleted, and what it made was not looked for\n"), "{text}");
        assert!(text.contains("by another response, and what it made was not looked for\n"), "{text}");
        assert!(!it.text.contains("lookup-events"));
        let text = alert(&maker, &[Unanswered::call("e-1", "it was not looked at"), one.clone()]).text;
        assert!(text.contains("- CloudTrail event e-1: it was not looked at\n") && text.contains("mallory"), "{text}");
        assert!(text.contains("lookup-events --region us-east-1 --lookup-attributes"), "{text}");
        let many = vec![one; MOST_NAMED + 2];
        let text = alert(&maker, &many).text;
        assert_eq!(text.matches("mallory").count(), MOST_NAMED);
        assert!(text.contains("- and 2 more\n"), "{text}");
    }
}
