//! Slack's endpoint: from a click to a decision, or to an answer that says nothing.
//!
//! Nothing is parsed before the signature holds; nothing is decided but by an approver of our own workspace,
//! about the plan that he saw. Whether it still waits, and who was first, is the ledger's to say: the
//! decision's conditional write is also what a replay runs into.
//! <https://docs.slack.dev/interactivity/handling-user-interaction>
//!
//! INVARIANT: no failure becomes a success for the caller, and none tells a reason: refused is 401 before the
//! signature holds, 403 after it, both empty. Held by `tests` below and in `slack/signature.rs`.

use std::fmt;

use aws_lambda_events::lambda_function_urls::LambdaFunctionUrlRequest;
use aws_smithy_types::DateTime;
use domain::decision::{Button, Wish};
use domain::ids::RequestId;

use crate::http::{Request, Response, Unfit};

pub mod approvers;
mod click;
pub mod signature;

use approvers::{Approver, Approvers};
use click::{Clicked, Payload};
use signature::SigningSecrets;

/// The only path. Another one is answered like any that is not there.
pub const PATH: &str = "/slack/interactions";

/// The message comes back with a click, and its blocks are at most 10,000 bytes of JSON before they are encoded.
pub const MAX_BODY: usize = 256 * 1024;

/// The app, the workspace, and who may decide.
#[derive(Debug, Clone)]
pub struct Slack {
    /// `A…`, of the app's own page.
    pub app: String,
    /// `T…`. An installation for a whole Enterprise organisation names none in its clicks, and is refused.
    pub team: String,
    pub secrets: SigningSecrets,
    pub approvers: Approvers,
}

/// What is to be done about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// One conditional write, then [`acknowledged`] or [`unavailable`].
    Decide(Decided),
    /// Nothing of ours: answered.
    Ignored(Response),
    /// Answered. The reason is for our log, and for nobody else.
    Refused(Response, Refusal),
}

/// A decision by an approver, as the ledger needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub request: RequestId,
    pub plan_hash: String,
    pub wish: Wish,
    pub by: Approver,
    pub at: DateTime,
}

/// Why a request was refused, in the words of our log. None has a word of the request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Path,
    Method,
    TooLarge,
    Malformed,
    Signature,
    Payload,
    App,
    Team,
    Guest,
    Actions,
    Value,
    NotAnApprover,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "there is nothing at the path",
            Self::Method => "the method is not POST",
            Self::TooLarge => "the body is too large",
            Self::Malformed => "the body is not what its encoding says",
            Self::Signature => "the signature or its time does not hold",
            Self::Payload => "signed, but not a payload that can be read",
            Self::App => "signed for another app",
            Self::Team => "clicked in another workspace",
            Self::Guest => "clicked by a guest from another workspace",
            Self::Actions => "not exactly one action",
            Self::Value => "the button's value is not one of ours",
            Self::NotAnApprover => "clicked by somebody who is no approver",
        })
    }
}

impl Slack {
    pub fn receive(&self, event: LambdaFunctionUrlRequest, now: DateTime) -> Received {
        let refused = |status, why| Received::Refused(Response::empty(status), why);
        let request = match Request::read(event, MAX_BODY) {
            Ok(it) => it,
            Err(Unfit::TooLarge) => return refused(413, Refusal::TooLarge),
            Err(Unfit::Malformed) => return refused(401, Refusal::Malformed),
        };
        if request.path != PATH {
            return refused(404, Refusal::Path);
        }
        if request.method != "POST" {
            return Received::Refused(Response::empty(405).with("allow", "POST"), Refusal::Method);
        }
        if !self.secrets.have_signed(&request, now) {
            return refused(401, Refusal::Signature);
        }
        match self.decided(&request, now) {
            Ok(Some(decided)) => Received::Decide(decided),
            Ok(None) => Received::Ignored(acknowledged()),
            Err(why) => refused(403, why),
        }
    }

    /// `None` is a click that decides nothing, such as one on a link.
    fn decided(&self, request: &Request, now: DateTime) -> Result<Option<Decided>, Refusal> {
        let payload = match click::read(&request.body).ok_or(Refusal::Payload)? {
            Payload::Clicked(it) => it,
            Payload::Other => return Ok(None),
        };
        let Clicked { app, team, user, user_team, called, actions } = payload;
        if app != self.app {
            return Err(Refusal::App);
        }
        if team != self.team {
            return Err(Refusal::Team);
        }
        if user_team != self.team {
            return Err(Refusal::Guest);
        }
        let [action] = actions.as_slice() else { return Err(Refusal::Actions) };
        if action.id.parse::<Wish>().is_err() {
            return Ok(None);
        }
        let button = Button::parse(&action.value).ok_or(Refusal::Value)?;
        let by = self.approvers.find(&team, &user, &called).ok_or(Refusal::NotAnApprover)?;
        let Button { request, plan_hash, wish } = button;
        Ok(Some(Decided { request, plan_hash, wish, by, at: now }))
    }
}

/// What Slack wants within three seconds. The message says the rest.
pub fn acknowledged() -> Response {
    Response::empty(200)
}

/// The decision could not be written down: Slack shows the person that the click failed.
pub fn unavailable() -> Response {
    Response::empty(503)
}

/// The decision was not taken: it is not this approver's, or not (or no longer) to be made.
pub fn not_allowed() -> Response {
    Response::empty(403)
}

#[cfg(test)]
mod tests {
    use domain::decision::Decision;
    use domain::settings::Secret;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::tests::event;

    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const NOW: i64 = 1_795_914_000;
    const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

    fn slack() -> Slack {
        Slack {
            app: "A111".to_owned(),
            team: "T111".to_owned(),
            secrets: SigningSecrets::parse(&Secret::new(SECRET.to_owned())).unwrap(),
            approvers: Approvers::new(
                ["U111".to_owned(), "U222".to_owned()],
                [("U111".to_owned(), ALICE.to_owned())].into(),
            ),
        }
    }

    fn click() -> Value {
        let value = format!("v1|abcdefghijklmnopqrstuvwxyz|{}|approve", "0f".repeat(32));
        json!({
            "type": "block_actions", "api_app_id": "A111", "token": "old", "trigger_id": "1.2.3",
            "user": {"id": "U111", "username": "alice", "name": "alice", "team_id": "T111"},
            "team": {"id": "T111", "domain": "ours"}, "enterprise": null, "is_enterprise_install": false,
            "container": {"type": "message", "message_ts": "1.2", "channel_id": "C1", "is_ephemeral": false},
            "channel": {"id": "C1", "name": "security"}, "message": {"ts": "1.2", "text": "x", "blocks": []},
            "response_url": "https://hooks.slack.com/actions/T111/1/x", "state": {"values": {}},
            "actions": [{"type": "button", "block_id": "b", "action_id": "approve", "value": value, "action_ts": "1.3",
                "text": {"type": "plain_text", "text": "Approve"}, "style": "danger"}],
        })
    }

    fn sent(payload: &Value) -> LambdaFunctionUrlRequest {
        let encoded =
            percent_encoding::utf8_percent_encode(&payload.to_string(), percent_encoding::NON_ALPHANUMERIC).to_string();
        signed(format!("payload={encoded}").as_bytes(), NOW)
    }

    fn signed(body: &[u8], at: i64) -> LambdaFunctionUrlRequest {
        let (at, signature) = (at.to_string(), signature::tests::sign(SECRET, &at.to_string(), body));
        let headers = [
            ("x-slack-request-timestamp", at.as_str()),
            ("x-slack-signature", signature.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        event("POST", PATH, &headers, body)
    }

    fn received(payload: &Value) -> Received {
        slack().receive(sent(payload), DateTime::from_secs(NOW))
    }

    fn refusal(change: impl FnOnce(&mut Value)) -> Refusal {
        let mut payload = click();
        change(&mut payload);
        match received(&payload) {
            Received::Refused(response, why) => {
                assert_eq!((response.status, response.body.as_str()), (403, ""));
                why
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_approvers_click_is_a_decision() {
        let Received::Decide(decided) = received(&click()) else { panic!("no decision") };
        assert_eq!(decided.request.as_str(), "abcdefghijklmnopqrstuvwxyz");
        assert_eq!((decided.plan_hash, decided.wish), ("0f".repeat(32), Wish::Decide(Decision::Approve)));
        assert_eq!((decided.by.user.as_str(), decided.by.called.as_str()), ("U111", "alice"));
        assert_eq!(decided.by.identity.as_deref(), Some("arn:aws:iam::111122223333:user/alice"));
        assert_eq!(decided.at, DateTime::from_secs(NOW));
        let mut decline = click();
        decline["actions"][0]["action_id"] = json!("decline");
        decline["actions"][0]["value"] =
            json!(click()["actions"][0]["value"].as_str().unwrap().replace("|approve", "|decline"));
        let Received::Decide(decided) = received(&decline) else { panic!("no decision") };
        assert_eq!(decided.wish, Wish::Decide(Decision::Decline));
    }

    #[test]
    fn a_click_from_elsewhere_decides_nothing() {
        assert_eq!(refusal(|it| it["api_app_id"] = json!("A222")), Refusal::App);
        assert_eq!(refusal(|it| it["api_app_id"] = json!(null)), Refusal::App);
        assert_eq!(refusal(|it| it["team"]["id"] = json!("T222")), Refusal::Team);
        assert_eq!(refusal(|it| it["team"] = json!(null)), Refusal::Team);
        assert_eq!(refusal(|it| it["user"]["team_id"] = json!("T222")), Refusal::Guest);
        assert_eq!(refusal(|it| drop(it["user"].as_object_mut().unwrap().remove("team_id"))), Refusal::Guest);
        assert_eq!(refusal(|it| it["user"]["id"] = json!("U333")), Refusal::NotAnApprover);
        assert_eq!(refusal(|it| it["user"]["id"] = json!("")), Refusal::NotAnApprover);
        assert_eq!(refusal(|it| it["actions"] = json!([])), Refusal::Actions);
        assert_eq!(refusal(|it| it["actions"] = json!([it["actions"][0], it["actions"][0]])), Refusal::Actions);
        assert_eq!(refusal(|it| it["actions"][0]["value"] = json!("approve")), Refusal::Value);
        assert_eq!(refusal(|it| it["actions"][0]["value"] = json!(null)), Refusal::Value);
        assert_eq!(refusal(|it| it["user"] = json!("U111")), Refusal::Payload);
        assert_eq!(refusal(|it| it["actions"][0]["value"] = json!(7)), Refusal::Payload);
    }

    /// The text of a message is Slack's copy of ours, and decides nothing.
    #[test]
    fn only_the_buttons_value_says_what_is_decided() {
        let mut payload = click();
        payload["message"] = json!({"blocks": [{"value": "v1|OTHER|x|decline"}], "odd": [null]});
        payload["actions"][0]["text"]["text"] = json!("Decline");
        payload["response_url"] = json!(7);
        let Received::Decide(decided) = received(&payload) else { panic!("no decision") };
        assert_eq!(decided.wish, Wish::Decide(Decision::Approve));
    }

    #[test]
    fn what_decides_nothing_is_acknowledged() {
        let mut link = click();
        link["actions"][0] = json!({"type": "button", "action_id": "open-runbook", "url": "https://example.com"});
        assert_eq!(received(&link), Received::Ignored(Response::empty(200)));
        assert_eq!(received(&json!({"type": "view_closed"})), Received::Ignored(Response::empty(200)));
    }

    #[test]
    fn what_is_no_payload_decides_nothing() {
        let answers = |body: &[u8]| slack().receive(signed(body, NOW), DateTime::from_secs(NOW));
        for body in [&b""[..], b"payload=", b"payload=%7B", b"payload={}&payload={}", b"payload=%FF", b"x=1", b"{}"] {
            assert_eq!(answers(body), Received::Refused(Response::empty(403), Refusal::Payload), "{body:?}");
        }
    }

    /// What whoever knows no secret is told is the same for all that may be wrong.
    #[test]
    fn without_a_signature_there_is_one_answer() {
        let good = sent(&click());
        let answer = |change: &dyn Fn(&mut LambdaFunctionUrlRequest)| {
            let mut request = good.clone();
            change(&mut request);
            match slack().receive(request, DateTime::from_secs(NOW)) {
                Received::Refused(response, _) => response,
                other => panic!("{other:?}"),
            }
        };
        let unsigned = answer(&|it| drop(it.headers.remove("x-slack-signature")));
        assert_eq!((unsigned.status, unsigned.body.as_str()), (401, ""));
        assert_eq!(unsigned.header("www-authenticate"), None);
        assert_eq!(answer(&|it| it.body = Some("cGF5bG9hZD17fQ==".to_owned())), unsigned);
        assert_eq!(answer(&|it| it.body = Some("not base64".to_owned())), unsigned);
        assert_eq!(answer(&|it| drop(it.headers.remove("x-slack-request-timestamp"))), unsigned);
        assert_eq!(answer(&|it| it.raw_path = Some("/".to_owned())).status, 404);
        assert_eq!(answer(&|it| it.request_context.http.method = Some("GET".to_owned())).status, 405);
        assert_eq!(answer(&|it| it.body = Some("A".repeat(MAX_BODY * 2))).status, 413);
    }

    proptest::proptest! {
        /// Signed or not, what is no click of ours decides nothing, and is answered.
        #[test]
        fn any_payload_is_answered_and_none_decides(text in "[ -~]{0,80}", is_signed in proptest::prelude::any::<bool>()) {
            for body in [text.clone(), format!("payload={text}"), format!("payload=%7B%22type%22%3A%22{text}%22%7D")] {
                let mut event = signed(body.as_bytes(), NOW);
                if !is_signed {
                    event.headers.remove("x-slack-signature");
                }
                match slack().receive(event, DateTime::from_secs(NOW)) {
                    Received::Decide(it) => panic!("{it:?}"),
                    Received::Ignored(it) => proptest::prop_assert!(is_signed && it.status == 200),
                    Received::Refused(it, _) => proptest::prop_assert_eq!(it.status, if is_signed { 403 } else { 401 }),
                }
            }
        }
    }
}
