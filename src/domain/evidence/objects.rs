//! A report as the objects of a bucket: each form under a name that says of whom, which revision, and what is in it.

use serde_json::Value;

use super::report::Evidence;
use crate::ids::Partition;

/// What is put into the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    pub content_type: &'static str,
    pub body: String,
}

impl Evidence {
    /// The JSON is the one of which people are told the SHA-256, to the byte.
    pub fn objects(&self) -> [Object; 3] {
        let object =
            |ending: &str, content_type, body| Object { key: format!("{}.{ending}", self.key()), content_type, body };
        [
            object("json", "application/json", self.json().to_string()),
            object("md", "text/markdown; charset=utf-8", self.markdown()),
            object("html", "text/html; charset=utf-8", self.html()),
        ]
    }

    /// The page of its HTML in the console, which asks who wants to see it, and keeps that in a trail.
    pub fn link(&self, partition: &Partition, region: &str, bucket: &str) -> String {
        let console = match partition.as_str() {
            "aws-cn" => "console.amazonaws.cn",
            "aws-us-gov" => "console.amazonaws-us-gov.com",
            _ => "console.aws.amazon.com",
        };
        format!("https://{console}/s3/object/{bucket}?region={region}&prefix={}.html", self.key())
    }

    fn key(&self) -> String {
        let id = self.principal.get("id").and_then(Value::as_str).unwrap_or("unknown");
        let hash = self.sha256();
        format!("{}{:06}-{}", folder(&self.account, id), self.revision, hash.get(..16).unwrap_or(&hash))
    }
}

/// With what the names of all reports on one identity begin.
pub fn folder(account: &str, id: &str) -> String {
    format!("evidence/{account}/{id}/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::evidence::report::tests::report;
    use crate::fixtures::parsed;
    use crate::history::Kept;

    /// `docs/evidence.md` has auditors check the hash by `jq -jcS`, which writes this character as an escape. IAM takes it
    /// in a policy.
    #[test]
    fn the_hash_is_the_one_of_what_jq_writes() {
        let document = json!({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
            "Condition": {"StringLike": {"aws:PrincipalTag/a\u{7f}": "*"}}}});
        let report = report(&document.to_string(), Vec::new(), Vec::new(), &Kept::default());
        let (raw, json) = (json!(report).to_string(), report.json());
        assert!(raw.contains('\u{7f}'));
        assert_eq!(json.to_string(), raw.replace('\u{7f}', "?"));
        // What stands in lines stays in lines.
        assert!(json["athena_query"].as_str().unwrap().contains('\n'));
    }

    #[test]
    fn its_names_say_what_is_in_them_and_need_no_escape() {
        let report = report("{}", Vec::new(), Vec::new(), &Kept::default());
        let [json, markdown, html] = report.objects();
        let start = format!("evidence/111122223333/AIDACKCEVSQ6C2EXAMPLE/000001-{}.", &report.sha256()[..16]);
        for (object, ending) in [(&json, "json"), (&markdown, "md"), (&html, "html")] {
            assert_eq!(object.key, format!("{start}{ending}"));
            assert!(object.key.chars().all(|c| c.is_ascii_alphanumeric() || "/-.".contains(c)), "{}", object.key);
        }
        assert_eq!(hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&json.body)), report.sha256());
        let link = report.link(&parsed("aws"), "us-east-1", "b");
        assert_eq!(link, format!("https://console.aws.amazon.com/s3/object/b?region=us-east-1&prefix={}", html.key));
    }
}
