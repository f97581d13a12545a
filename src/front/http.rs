//! A request and an answer of a Lambda Function URL, as little of both as is needed, strictly.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

use std::net::IpAddr;

use aws_lambda_events::lambda_function_urls::{LambdaFunctionUrlRequest, LambdaFunctionUrlResponse};
use aws_smithy_types::base64;

/// What a client sent. The query is left out: nothing here takes meaning from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// By Lambda's word, not by the client's.
    pub source: Option<IpAddr>,
    /// The host name of the Function URL, by Lambda's word.
    pub host: String,
    /// The bytes that were sent, undone of nothing but Lambda's base64.
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
}

/// A request that is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    TooLarge,
    Malformed,
}

impl Request {
    /// Reads what Lambda hands over. A body of more than `limit` bytes is refused before it is decoded.
    pub fn read(event: LambdaFunctionUrlRequest, limit: usize) -> Result<Self, Unfit> {
        let http = event.request_context.http;
        let body = event.body.unwrap_or_default();
        let encoded = if event.is_base64_encoded { limit / 3 * 4 + 4 } else { limit };
        if body.len() > encoded {
            return Err(Unfit::TooLarge);
        }
        let body = match event.is_base64_encoded {
            true => base64::decode(body).map_err(|_| Unfit::Malformed)?,
            false => body.into_bytes(),
        };
        if body.len() > limit {
            return Err(Unfit::TooLarge);
        }
        let mut headers = Vec::new();
        for (name, value) in &event.headers {
            // A header that is no text counts as one that says nothing.
            headers.push((name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned()));
        }
        let mut cookies = event.cookies.unwrap_or_default();
        cookies.extend(headers.iter().filter(|it| it.0 == "cookie").map(|it| it.1.clone()));
        Ok(Self {
            method: http.method.unwrap_or_default(),
            path: event.raw_path.or(http.path).unwrap_or_default(),
            source: http.source_ip.and_then(|it| it.parse().ok()),
            host: event.request_context.domain_name.unwrap_or_default(),
            body,
            headers,
            cookies,
        })
    }

    /// The value of a header that was sent once. Lambda joins several with commas.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|it| it.0 == name).map(|it| it.1.as_str());
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|it| it.0 == name)
    }

    /// The values of all cookies of that name.
    pub fn cookies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let each = self.cookies.iter().flat_map(|it| it.split(';'));
        each.filter_map(move |it| it.trim().split_once('=').filter(|it| it.0 == name).map(|it| it.1))
    }

    /// Whether the body says that it is a form's. Parameters of the type are of no account.
    pub fn is_form(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub cookies: Vec<String>,
    pub body: String,
}

impl Response {
    /// Without a word, and never kept by anybody on the way.
    pub fn empty(status: u16) -> Self {
        let headers = vec![("cache-control", "no-store".to_owned()), ("x-content-type-options", "nosniff".to_owned())];
        Self { status, headers, cookies: Vec::new(), body: String::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|it| it.0 != name);
        self.headers.push((name, value.into()));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }
}

/// An answer that Lambda would not understand is an error of ours, and told as one.
impl From<Response> for LambdaFunctionUrlResponse {
    fn from(response: Response) -> Self {
        let mut answer = Self::default();
        answer.status_code = i64::from(response.status);
        for (name, value) in &response.headers {
            match value.parse() {
                Ok(value) => drop(answer.headers.insert(*name, value)),
                Err(_) => return Response::empty(500).into(),
            }
        }
        answer.body = Some(response.body);
        answer.cookies = response.cookies;
        answer
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// As Lambda hands it over. A header in `headers` may be there twice, joined.
    pub(crate) fn event(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> LambdaFunctionUrlRequest {
        let headers: serde_json::Map<_, _> = headers.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "a=b",
            "cookies": ["one=1", "two=2"], "headers": headers, "isBase64Encoded": true, "body": base64::encode(body),
            "requestContext": {
                "accountId": "anonymous", "apiId": "abc", "domainName": "abc.lambda-url.eu-central-1.on.aws",
                "domainPrefix": "abc", "requestId": "r", "routeKey": "$default", "stage": "$default",
                "time": "29/Nov/2026:01:00:00 +0000", "timeEpoch": 1_795_914_000_000_i64, "authentication": null,
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9", "userAgent": "x"},
            },
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_body_is_the_bytes_that_were_sent() {
        let bytes = [0xff, 0x00, b'a'];
        let request = Request::read(event("POST", "/x", &[], &bytes), 3).unwrap();
        assert_eq!(request.body, bytes);
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/x"));
        assert_eq!(request.source, Some("203.0.113.9".parse().unwrap()));
        assert_eq!(request.host, "abc.lambda-url.eu-central-1.on.aws");
        let mut text = event("POST", "/x", &[], b"");
        text.is_base64_encoded = false;
        text.body = Some("plain".to_owned());
        assert_eq!(Request::read(text, 5).unwrap().body, b"plain");
    }

    #[test]
    fn a_large_or_broken_body_is_not_looked_at() {
        assert_eq!(Request::read(event("POST", "/", &[], &[0; 9]), 8), Err(Unfit::TooLarge));
        assert_eq!(Request::read(event("POST", "/", &[], &[0; 9000]), 8), Err(Unfit::TooLarge));
        assert!(Request::read(event("POST", "/", &[], &[0; 8]), 8).is_ok());
        let mut broken = event("POST", "/", &[], b"");
        broken.body = Some("%%%".to_owned());
        assert_eq!(Request::read(broken, 8), Err(Unfit::Malformed));
    }

    #[test]
    fn a_header_that_was_sent_twice_is_none() {
        let mut twice = event("GET", "/", &[("x-once", "1")], b"");
        assert_eq!(Request::read(twice.clone(), 8).unwrap().header("x-once"), Some("1"));
        twice.headers.append("x-once", "2".parse().unwrap());
        let request = Request::read(twice, 8).unwrap();
        assert_eq!((request.header("x-once"), request.has_header("x-once")), (None, true));
    }

    #[test]
    fn cookies_are_found_in_either_place() {
        let request = Request::read(event("GET", "/", &[("cookie", "three=3; four=a=b")], b""), 8).unwrap();
        let found = |name| request.cookies(name).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!((found("two"), found("four"), found("five")), (vec!["2".into()], vec!["a=b".into()], vec![]));
    }

    #[test]
    fn an_answer_becomes_lambdas() {
        let mut response = Response::empty(303).with("location", "/state/x");
        response.cookies.push("a=b".to_owned());
        let answer: LambdaFunctionUrlResponse = response.into();
        let json = serde_json::to_value(answer).unwrap();
        assert_eq!((&json["statusCode"], &json["headers"]["location"]), (&json!(303), &json!("/state/x")));
        assert_eq!((&json["cookies"], &json["isBase64Encoded"]), (&json!(["a=b"]), &json!(false)));
        let odd: LambdaFunctionUrlResponse = Response::empty(200).with("location", "a\nb").into();
        assert_eq!(odd.status_code, 500);
    }
}
