//! The query for what CloudTrail's event history does not have: data events, and what is older or comes later.
//!
//! Names in it were chosen by whoever is being looked at. INVARIANT: none of them ends the literal that it stands in.
//! Held by `tests`.
//! <https://docs.aws.amazon.com/athena/latest/ug/cloudtrail-logs.html>

use std::collections::BTreeSet;

use super::facts::About;
use super::report::Evidence;
use super::room;
use crate::text;

/// Of each kind. Athena takes queries of 256 KB, and the report has this one three times over.
/// <https://docs.aws.amazon.com/athena/latest/ug/service-limits.html>
const MOST_VALUES: usize = 1_000;
const MOST_BYTES: usize = 60_000;
/// Longer than any name, ID or key of IAM.
const LONGEST_VALUE: usize = 128;

impl Evidence {
    /// And how many values there was no room for.
    pub(super) fn query(&self, about: &About<'_>) -> (String, usize) {
        let mut ids = vec![about.identity.id.as_str()];
        let mut keys = Vec::new();
        let mut users = Vec::new();
        // What was planted comes before the sessions, of which there may be any number.
        for left in self.left.iter().filter(|it| !it.is_on_itself) {
            let unique = left.trace.unique_id.as_deref().unwrap_or_default();
            match unique.get(..4) {
                Some("AIDA" | "AROA") => ids.push(unique),
                Some("AKIA") => keys.push(unique),
                _ => {}
            }
            // A name is one of an account, and an ID or a key is one of all.
            users.extend(left.trace.user.as_deref().filter(|_| left.account == self.account));
        }
        keys.extend(self.indicators.access_keys.iter().map(String::as_str));
        let ((ids, more_ids), (keys, more_keys), (names, more_names)) = (values(ids), values(keys), values(users));
        let more = more_ids + more_keys + more_names + self.indicators.more_access_keys;
        let mut who = vec![
            ("useridentity.principalid", &ids),
            ("split_part(useridentity.principalid, ':', 1)", &ids),
            ("useridentity.sessioncontext.sessionissuer.principalid", &ids),
        ];
        who.extend((!keys.is_empty()).then_some(("useridentity.accesskeyid", &keys)));
        let mut who: Vec<_> = who.into_iter().map(|(field, values)| format!("{field} IN ({values})")).collect();
        if !names.is_empty() {
            let account = literal(&self.account);
            who.push(format!(
                "(useridentity.type = 'IAMUser' AND useridentity.accountid = {account} AND useridentity.username IN ({names}))"
            ));
        }
        let lacks = if more > 0 {
            format!("-- {more} more keys, IDs and names have no room here: see the sessions in CloudTrail\n")
        } else {
            String::new()
        };
        let query = format!(
            "{lacks}SELECT eventtime, eventsource, eventname, awsregion, sourceipaddress, useragent, errorcode,\n       \
             useridentity.arn AS actor, useridentity.accesskeyid AS access_key, requestparameters, eventid, requestid\n\
             FROM cloudtrail_logs -- the table of your trail; where that has partitions, add a condition on them\n\
             WHERE eventtime >= {}\n  AND ({})\nORDER BY eventtime",
            literal(&self.from),
            who.join("\n    OR ")
        );
        (query, more)
    }
}

/// Each once, in their order, and how many more there are.
fn values(all: Vec<&str>) -> (String, usize) {
    let mut seen = BTreeSet::new();
    let literals = all.into_iter().filter(|it| seen.insert(*it)).map(literal).collect();
    let (literals, more) = room::first(literals, MOST_VALUES, MOST_BYTES);
    (literals.join(", "), more)
}

/// A text for Athena, whose literals know one escape: a quote is doubled. Control characters, line breaks among them,
/// are in no name of IAM, and become `?`.
/// <https://trino.io/docs/current/language/types.html#varchar>
fn literal(value: &str) -> String {
    format!("'{}'", text::line(value, LONGEST_VALUE).replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evidence::chain::Link;
    use crate::evidence::report::tests::{leaving, report};
    use crate::evidence::trail::tests::event;
    use crate::history::Kept;

    /// What stands outside of literals, and each literal's value.
    fn read(query: &str) -> (String, Vec<String>) {
        let (mut outside, mut literals) = (String::new(), Vec::new());
        let mut rest = query.chars().peekable();
        while let Some(c) = rest.next() {
            if c != '\'' {
                outside.push(c);
                continue;
            }
            let mut value = String::new();
            while let Some(c) = rest.next() {
                match c {
                    '\'' if rest.peek() == Some(&'\'') => value.extend(rest.next()),
                    '\'' => break,
                    c => value.push(c),
                }
            }
            literals.push(value);
        }
        (outside, literals)
    }

    #[test]
    fn it_asks_for_the_identity_and_for_what_it_left_behind() {
        let mut key = leaving("backup", "", Some("AKIAPLANTED"));
        key.trace.as_mut().unwrap().user = Some("backup".to_owned());
        let events = vec![event("ListUsers", 60), leaving("backup", "", Some("AIDAPLANTED")), key];
        let query = report("{}", events, Vec::new(), &Kept::default()).athena_query;
        let (outside, literals) = read(&query);
        for wanted in
            ["AIDACKCEVSQ6C2EXAMPLE", "AIDAPLANTED", "AKIAPLANTED", "AKIAIOSFODNN7EXAMPLE", "backup", "111122223333"]
        {
            assert!(literals.iter().any(|it| it == wanted), "{wanted}: {query}");
        }
        assert!(literals.contains(&"1970-01-01T00:00:00Z".to_owned()));
        assert!(outside.starts_with("SELECT eventtime") && outside.ends_with("ORDER BY eventtime"));
    }

    #[test]
    fn an_attackers_name_stays_a_value() {
        for name in
            ["x' OR '1'='1", "x'; DROP TABLE cloudtrail_logs; --", "'", "''", "x\\'", "a\n-- '", "x')) UNION SELECT ("]
        {
            let query = report("{}", vec![leaving(name, "", None)], Vec::new(), &Kept::default()).athena_query;
            let plain = report("{}", vec![leaving("mallory", "", None)], Vec::new(), &Kept::default()).athena_query;
            let (outside, literals) = read(&query);
            assert_eq!(outside, read(&plain).0, "{name}");
            assert!(literals.contains(&name.replace('\n', "?")), "{name}: {query}");
        }
    }

    /// The query is of the identity, its keys and sessions.
    #[test]
    fn the_query_has_every_key_or_says_how_many_it_lacks() {
        let link = |n: usize| Link {
            key: format!("ASIA{n:04}"),
            session: String::new(),
            account: "111122223333".to_owned(),
            role: Some("arn:aws:iam::111122223333:role/target".to_owned()),
            event: format!("e{n}"),
            at: 100,
            by: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            depth: 1,
            not_followed: Some("more than 20 sessions".to_owned()),
        };
        let of = |n: usize| {
            let planted = leaving("backup", "", Some("AKIAPLANTED"));
            report("{}", vec![event("ListUsers", 60), planted], (0..n).map(link).collect(), &Kept::default())
        };
        let some = of(300);
        assert!(some.athena_query.contains("'ASIA0299'") && !some.athena_query.contains("more"));
        let many = of(2_000);
        assert!(many.athena_query.contains("'AKIAPLANTED'") && many.athena_query.contains("'AKIAIOSFODNN7EXAMPLE'"));
        assert!(many.athena_query.starts_with("-- 1002 more keys"), "{}", &many.athena_query[..80]);
        assert!(many.open_points.iter().any(|it| it.contains("no room for 1002 more")), "{:?}", many.open_points);
    }

    proptest! {
        #[test]
        fn no_value_ends_its_literal(value in any::<String>()) {
            let (outside, literals) = read(&literal(&value));
            prop_assert_eq!(outside, "");
            prop_assert_eq!(literals.len(), 1);
            prop_assert!(!literals[0].chars().any(char::is_control));
        }
    }
}
