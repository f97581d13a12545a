//! IAM's credential report: every user of an account at once, as CSV.
//!
//! Columns are found by their names, since AWS adds to them; unknown ones are ignored, and a report without one that
//! is needed is refused as a whole. A row that can't be read is kept as such: its user is neither well nor ill.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html>

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use csv::{ByteRecord, ReaderBuilder};

use crate::ids::{AccountId, Arn, Parse, PrincipalName};

const ROOT: &str = "<root_account>";

/// What is read of each user. Both of a user's keys have the same three.
const COLUMNS: [&str; 13] = [
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "mfa_active",
    "access_key_1_active",
    "access_key_1_last_rotated",
    "access_key_1_last_used_date",
    "access_key_2_active",
    "access_key_2_last_rotated",
    "access_key_2_last_used_date",
];

#[derive(Debug, Clone, Default, PartialEq)]
pub struct CredentialReport {
    /// Absent where the report does not have its row.
    pub root: Option<Root>,
    pub users: Vec<User>,
    /// Why rows could not be read, each with its line.
    pub unreadable: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// `false` where an account has no root credentials; `None` in reports that do not say.
    pub has_password: Option<bool>,
    pub has_mfa: bool,
    pub active_keys: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub name: PrincipalName,
    pub arn: String,
    pub created: DateTime,
    pub has_password: bool,
    pub password_used: Used,
    pub password_changed: Option<DateTime>,
    /// As the report says: a passkey of a minute ago is not in it.
    pub has_mfa: bool,
    /// The report has no IDs.
    pub keys: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub is_active: bool,
    /// When it was created: in the report's words, last rotated.
    pub created: DateTime,
    pub used: Used,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Used {
    At(DateTime),
    /// Never since AWS keeps account of it, which is since October 2014.
    Never,
    /// AWS does not say.
    Unknown,
}

impl User {
    pub fn active_keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|it| it.is_active)
    }
}

/// Why a whole report is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the credential report has no column `{0}`")]
    MissingColumn(&'static str),
    #[error("the credential report has the column `{0}` twice")]
    ColumnTwice(&'static str),
    #[error("the credential report's first line can't be read")]
    NoHeader,
    #[error("the credential report has no rows")]
    Empty,
}

/// Reads the report of this account.
pub fn parse(content: &[u8], account: &AccountId) -> Result<CredentialReport, Refused> {
    let mut reader = ReaderBuilder::new().from_reader(content);
    let header = reader.byte_headers().map_err(|_| Refused::NoHeader)?;
    let mut columns = [0; COLUMNS.len()];
    for (at, name) in columns.iter_mut().zip(COLUMNS) {
        let mut found = header.iter().enumerate().filter(|(_, it)| *it == name.as_bytes());
        *at = found.next().ok_or(Refused::MissingColumn(name))?.0;
        if found.next().is_some() {
            return Err(Refused::ColumnTwice(name));
        }
    }
    let mut report = CredentialReport::default();
    let mut record = ByteRecord::new();
    let mut number = 1;
    loop {
        number += 1;
        let read = match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => row(&Row { record: &record, columns: &columns }, account),
            Err(_) => Err("has another number of fields than the first".to_owned()),
        };
        match read {
            Ok(Line::Root(root)) => report.root = Some(root),
            Ok(Line::User(user)) => report.users.push(user),
            Err(problem) => report.unreadable.push(format!("row {number} of the credential report {problem}")),
        }
    }
    if number == 2 { Err(Refused::Empty) } else { Ok(report) }
}

enum Line {
    Root(Root),
    User(User),
}

struct Row<'a> {
    record: &'a ByteRecord,
    columns: &'a [usize; COLUMNS.len()],
}

impl<'a> Row<'a> {
    fn text(&self, name: &'static str) -> Result<&'a str, String> {
        let column = COLUMNS.iter().position(|it| *it == name).and_then(|it| self.columns.get(it));
        let field = column.and_then(|it| self.record.get(*it)).and_then(|it| std::str::from_utf8(it).ok());
        field.ok_or_else(|| format!("has no text in `{name}`"))
    }

    /// The guide prints them in capitals, the service in small letters.
    fn flag(&self, name: &'static str) -> Result<bool, String> {
        match self.text(name)? {
            it if it.eq_ignore_ascii_case("true") => Ok(true),
            it if it.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(format!("has neither `true` nor `false` in `{name}`")),
        }
    }

    fn time(&self, name: &'static str) -> Result<Option<DateTime>, String> {
        let text = self.text(name)?;
        match DateTime::from_str(text, Format::DateTimeWithOffset) {
            Ok(time) => Ok(Some(time)),
            Err(_) if ["N/A", "not_supported", "no_information"].contains(&text) => Ok(None),
            Err(_) => Err(format!("has no date in `{name}`")),
        }
    }

    fn used(&self, name: &'static str) -> Result<Used, String> {
        Ok(match (self.time(name)?, self.text(name)?) {
            (Some(time), _) => Used::At(time),
            (None, "not_supported") => Used::Unknown,
            (None, _) => Used::Never,
        })
    }

    fn key(&self, active: &'static str, rotated: &'static str, used: &'static str) -> Result<Option<Key>, String> {
        match (self.flag(active)?, self.time(rotated)?) {
            (is_active, Some(created)) => Ok(Some(Key { is_active, created, used: self.used(used)? })),
            (false, None) => Ok(None),
            (true, None) => Err(format!("has an active key and no date in `{rotated}`")),
        }
    }
}

fn row(row: &Row, account: &AccountId) -> Result<Line, String> {
    let name = row.text("user")?;
    if name == ROOT {
        let active = ["access_key_1_active", "access_key_2_active"].map(|it| row.flag(it));
        let mut active_keys = 0;
        for it in active {
            active_keys += usize::from(it?);
        }
        let has_password = row.flag("password_enabled").ok();
        return Ok(Line::Root(Root { has_password, has_mfa: row.flag("mfa_active")?, active_keys }));
    }
    let name = PrincipalName::parse(name).map_err(|it| format!("is of no user: {it}"))?;
    let arn = row.text("arn")?;
    let named = Arn::parse(arn).filter(|it| it.account == account.as_str());
    if named.and_then(|it| it.kind_and_name()) != Some(("user", name.as_str())) {
        return Err(format!("has an ARN that is not that of the user `{name}` of account {account}"));
    }
    let keys = [
        row.key("access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date")?,
        row.key("access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date")?,
    ];
    Ok(Line::User(User {
        created: row.time("user_creation_time")?.ok_or("has no date in `user_creation_time`")?,
        has_password: row.flag("password_enabled")?,
        password_used: row.used("password_last_used")?,
        password_changed: row.time("password_last_changed")?,
        has_mfa: row.flag("mfa_active")?,
        keys: keys.into_iter().flatten().collect(),
        arn: arn.to_owned(),
        name,
    }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixtures::parsed;

    /// The header as the service sent it in 2026.
    pub(crate) const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
        password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
        access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,\
        access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
        cert_1_last_rotated,cert_2_active,cert_2_last_rotated";

    const ROOT_ROW: &str = "<root_account>,arn:aws:iam::111122223333:root,2019-01-01T00:00:00Z,not_supported,\
        2020-01-01T00:00:00Z,not_supported,not_supported,true,false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,\
        false,N/A";

    pub(crate) fn user_row(name: &str, password: &str, mfa: &str, first: &str, second: &str) -> String {
        let quoted = if name.contains(',') { format!("\"{name}\"") } else { name.to_owned() };
        let arn = format!("arn:aws:iam::111122223333:user/team/{name}");
        let arn = if name.contains(',') { format!("\"{arn}\"") } else { arn };
        format!(
            "{quoted},{arn},2024-01-01T10:00:00+00:00,{password},2024-01-01T10:00:00+00:00,N/A,{mfa},{first},N/A,N/A,\
             {second},N/A,N/A,false,N/A,false,N/A"
        )
    }

    pub(crate) const NO_KEY: &str = "false,N/A,N/A";
    const OLD_KEY: &str = "true,2024-02-01T10:00:00+00:00,2026-11-01T10:00:00Z";

    pub(crate) fn report_of(rows: &[String]) -> CredentialReport {
        let text = [&[HEADER.to_owned(), ROOT_ROW.to_owned()], rows].concat().join("\n");
        parse(text.as_bytes(), &parsed("111122223333")).unwrap()
    }

    #[test]
    fn both_forms_of_dates_and_names_with_commas_are_read() {
        let rows = [
            user_row("a+b=c,d.e@f_g-h", "TRUE,no_information", "FALSE", OLD_KEY, NO_KEY),
            user_row("bot", "false,not_supported", "false", OLD_KEY, "false,2024-03-01T10:00:00Z,N/A"),
        ];
        let report = report_of(&rows);
        assert_eq!(report.unreadable, Vec::<String>::new());
        let [odd, bot] = report.users.as_slice() else { panic!("{report:?}") };
        assert_eq!(odd.name.as_str(), "a+b=c,d.e@f_g-h");
        assert!(odd.has_password && !odd.has_mfa && odd.password_used == Used::Never);
        assert_eq!((odd.keys.len(), odd.active_keys().count()), (1, 1));
        assert_eq!(odd.keys[0].used, Used::At(DateTime::from_secs(1_793_527_200)));
        assert_eq!((bot.password_used, bot.keys.len(), bot.active_keys().count()), (Used::Unknown, 2, 1));
        assert_eq!(report.root, Some(Root { has_password: None, has_mfa: true, active_keys: 0 }));
    }

    #[test]
    fn columns_are_known_by_their_names_and_unknown_ones_are_ignored() {
        let row = user_row("alice", "true,N/A", "true", NO_KEY, NO_KEY);
        let text = format!("{HEADER},additional_credentials_info\n{row},whatever");
        let report = parse(text.as_bytes(), &parsed("111122223333")).unwrap();
        assert_eq!((report.users.len(), report.root), (1, None));
        let reversed = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(",");
        let text = format!("{}\n{}", reversed(HEADER), reversed(&row));
        assert_eq!(parse(text.as_bytes(), &parsed("111122223333")).unwrap().users, report.users);
    }

    #[test]
    fn a_report_without_a_needed_column_is_refused() {
        for name in COLUMNS {
            let text = format!("{}\n{ROOT_ROW}", HEADER.replace(&format!("{name},"), &format!("{name}_new,")));
            let refused = parse(text.as_bytes(), &parsed("111122223333")).unwrap_err();
            assert_eq!(refused, Refused::MissingColumn(name));
        }
        let twice = format!("{HEADER},mfa_active\n");
        assert_eq!(parse(twice.as_bytes(), &parsed("111122223333")), Err(Refused::ColumnTwice("mfa_active")));
        assert_eq!(parse(HEADER.as_bytes(), &parsed("111122223333")), Err(Refused::Empty));
        assert_eq!(parse(b"", &parsed("111122223333")), Err(Refused::MissingColumn("user")));
    }

    #[test]
    fn a_row_that_cant_be_read_is_told_and_spoils_no_other() {
        let good = user_row("alice", "true,N/A", "true", NO_KEY, NO_KEY);
        for (bad, word) in [
            (good.replace("alice", "al ice"), "is of no user"),
            (good.replace("user/team/alice", "user/team/bob"), "that of the user `alice`"),
            (good.replace("111122223333", "444455556666"), "of account 111122223333"),
            (good.replacen("+00:00,true,", "+00:00,maybe,", 1), "`password_enabled`"),
            (good.replacen(",true,", ",,", 1), "`password_enabled`"),
            (good.replacen("2024-01-01T10:00:00+00:00,true", "yesterday,true", 1), "`user_creation_time`"),
            (user_row("alice", "true,N/A", "true", "true,N/A,N/A", NO_KEY), "an active key and no date"),
            (format!("{good},more"), "another number of fields"),
            (
                user_row("alice", "true,N/A", "true", NO_KEY, NO_KEY).replace("\"", "").replace("alice", "a,b"),
                "another",
            ),
        ] {
            assert_ne!(bad, good);
            let report = report_of(&[bad, user_row("bob", "true,N/A", "true", NO_KEY, NO_KEY)]);
            assert_eq!(report.users.len(), 1, "{word}");
            assert!(report.unreadable[0].contains(word) && report.unreadable[0].contains("row 3"), "{report:?}");
        }
    }

    #[test]
    fn five_thousand_users_are_read_at_once() {
        let rows: Vec<_> =
            (0..5_000).map(|n| user_row(&format!("employee-{n:05}"), "true,N/A", "true", OLD_KEY, NO_KEY)).collect();
        assert_eq!(report_of(&rows).users.len(), 5_000);
    }
}
