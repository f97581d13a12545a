//! The settings of what faces the internet: of two functions, neither of which has the external ID or the name of
//! anything in a member account.

use std::collections::BTreeMap;

use super::SettingsError;
use super::reader::{
    Reader, approver_identity, form_account, form_user, origin, parameter, slack_app, slack_team, slack_user, table,
    url,
};
use crate::ids::AccountId;

/// What this function of the template needs.
#[derive(Debug, Clone)]
pub enum Front {
    Form(Form),
    Slack(SlackEndpoint),
}

/// The report form.
#[derive(Debug, Clone)]
pub struct Form {
    pub ledger_table: String,
    pub endpoint_url: Option<String>,
    /// Who logs in.
    pub user: String,
    /// The name of the parameter with the generated secret or the argon2id hash.
    pub secret_parameter: String,
    /// The name of the parameter with the key that pages and links are signed with.
    pub key_parameter: String,
    /// What can be chosen: accounts, and what people call them.
    pub accounts: Vec<(AccountId, String)>,
    /// Where the pages are, if not at the Function URL itself.
    pub origin: Option<String>,
}

/// Where Slack sends clicks.
#[derive(Debug, Clone)]
pub struct SlackEndpoint {
    pub ledger_table: String,
    pub endpoint_url: Option<String>,
    pub app: String,
    pub team: String,
    /// The name of the parameter with the app's signing secret.
    pub signing_secret_parameter: String,
    /// Slack's user IDs.
    pub approvers: Vec<String>,
    /// Who an approver is in AWS, where somebody wrote it down.
    pub identities: BTreeMap<String, String>,
}

impl Front {
    /// `None`: this is no function that faces the internet. An empty variable counts as absent.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Option<Result<Self, SettingsError>> {
        let part = lookup("PART")?;
        let mut read = Reader { lookup: &lookup, problems: Vec::new() };
        let front = match part.trim() {
            "form" => Self::Form(Form::read(&mut read)),
            "slack" => Self::Slack(SlackEndpoint::read(&mut read)),
            _ => return None,
        };
        Some(if read.problems.is_empty() { Ok(front) } else { Err(SettingsError { problems: read.problems }) })
    }

    pub fn endpoint_url(&self) -> Option<&str> {
        match self {
            Self::Form(it) => it.endpoint_url.as_deref(),
            Self::Slack(it) => it.endpoint_url.as_deref(),
        }
    }

    pub fn ledger_table(&self) -> &str {
        match self {
            Self::Form(it) => &it.ledger_table,
            Self::Slack(it) => &it.ledger_table,
        }
    }
}

impl Form {
    fn read(read: &mut Reader) -> Self {
        Self {
            ledger_table: read.required("LEDGER_TABLE", table).unwrap_or_default(),
            endpoint_url: read.optional("ENDPOINT_URL", url),
            user: read.optional("FORM_USER", form_user).unwrap_or_else(|| "report".to_owned()),
            secret_parameter: read.required("FORM_SECRET_PARAMETER", parameter).unwrap_or_default(),
            key_parameter: read.required("FORM_KEY_PARAMETER", parameter).unwrap_or_default(),
            accounts: read.list("FORM_ACCOUNTS", form_account),
            origin: read.optional("FORM_ORIGIN", origin),
        }
    }
}

impl SlackEndpoint {
    fn read(read: &mut Reader) -> Self {
        let endpoint = Self {
            ledger_table: read.required("LEDGER_TABLE", table).unwrap_or_default(),
            endpoint_url: read.optional("ENDPOINT_URL", url),
            app: read.required("SLACK_APP_ID", slack_app).unwrap_or_default(),
            team: read.required("SLACK_TEAM_ID", slack_team).unwrap_or_default(),
            signing_secret_parameter: read.required("SLACK_SIGNING_SECRET_PARAMETER", parameter).unwrap_or_default(),
            approvers: read.list("APPROVERS", slack_user),
            identities: identities(read),
        };
        if endpoint.approvers.is_empty() {
            read.tell("APPROVERS: expected at least one Slack user ID".to_owned());
        }
        if let Some(it) = endpoint.identities.keys().find(|it| !endpoint.approvers.contains(it)) {
            read.tell(format!("APPROVER_IDENTITIES: `{it}` is not among APPROVERS"));
        }
        endpoint
    }
}

/// Who an approver is in AWS: one identity each.
pub(super) fn identities(read: &mut Reader) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (user, arn) in read.list("APPROVER_IDENTITIES", approver_identity) {
        if found.insert(user.clone(), arn).is_some() {
            read.tell(format!("APPROVER_IDENTITIES: `{user}` is there twice"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: &[(&str, &str)] = &[
        ("PART", "slack"),
        ("LEDGER_TABLE", "ledger"),
        ("SLACK_APP_ID", "A0123456789"),
        ("SLACK_TEAM_ID", "T0123456789"),
        ("SLACK_SIGNING_SECRET_PARAMETER", "/iam-responder/slack-signing-secret"),
        ("APPROVERS", "U111, W222"),
    ];
    const FORM: &[(&str, &str)] = &[
        ("PART", "form"),
        ("LEDGER_TABLE", "ledger"),
        ("FORM_SECRET_PARAMETER", "/iam-responder/form-secret"),
        ("FORM_KEY_PARAMETER", "/iam-responder/form-key"),
    ];

    fn front(base: &[(&str, &str)], more: &[(&str, &str)]) -> Result<Front, SettingsError> {
        let all: BTreeMap<_, _> = base.iter().chain(more).copied().collect();
        Front::from_lookup(|name| all.get(name).map(|it| (*it).to_owned())).unwrap()
    }

    #[test]
    fn neither_requires_what_it_does_not_use() {
        let identities = "U111=arn:aws:iam::111122223333:user/team/alice";
        let Front::Slack(slack) = front(SLACK, &[("APPROVER_IDENTITIES", identities)]).unwrap() else { panic!() };
        assert_eq!(slack.approvers, ["U111", "W222"]);
        assert_eq!(slack.identities["U111"], "arn:aws:iam::111122223333:user/team/alice");
        let Front::Form(form) = front(FORM, &[("FORM_ACCOUNTS", "111122223333=Shop,444455556666")]).unwrap() else {
            panic!()
        };
        assert_eq!((form.user.as_str(), form.origin), ("report", None));
        let accounts: Vec<_> = form.accounts.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        assert_eq!(accounts, [("111122223333", "Shop"), ("444455556666", "444455556666")]);
        assert!(Front::from_lookup(|_| None).is_none());
        assert!(Front::from_lookup(|name| (name == "PART").then(|| "responder".to_owned())).is_none());
    }

    #[test]
    fn a_list_that_would_let_nobody_or_the_wrong_one_decide_is_refused() {
        for (approvers, identities) in [
            ("", ""),
            (" , ", ""),
            ("alice", ""),
            ("U111,@bob", ""),
            ("*", ""),
            ("U111", "U222=arn:aws:iam::111122223333:user/alice"),
            ("U111", "U111=alice"),
            ("U111", "U111=arn:aws:s3:::bucket/alice"),
            ("U111", "U111"),
            ("U111", "U111=arn:aws:iam::111122223333:user/a,U111=arn:aws:iam::111122223333:user/b"),
        ] {
            let given = [("APPROVERS", approvers), ("APPROVER_IDENTITIES", identities)];
            assert!(front(SLACK, &given).unwrap_err().to_string().contains("APPROVER"), "{approvers} {identities}");
        }
    }

    #[test]
    fn a_secret_in_the_place_of_its_parameters_name_is_refused_and_not_shown() {
        for (base, name) in
            [(SLACK, "SLACK_SIGNING_SECRET_PARAMETER"), (FORM, "FORM_SECRET_PARAMETER"), (FORM, "FORM_KEY_PARAMETER")]
        {
            let error = front(base, &[(name, "8f742231b10e8888abcd99yyyzzz85a5")]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("8f7422"), "{error}");
        }
        for bad in ["report.example.com", "https://report.example.com/x", "https://", "http://report.example.com"] {
            assert!(front(FORM, &[("FORM_ORIGIN", bad)]).is_err(), "{bad}");
        }
        for good in ["https://report.example.com", "http://127.0.0.1:8080"] {
            assert!(front(FORM, &[("FORM_ORIGIN", good)]).is_ok(), "{good}");
        }
    }
}
