//! A language model of Amazon Bedrock, asked once and without tools.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, InferenceConfiguration, Message, SystemContentBlock,
};
use domain::evidence::prose::Question;
use domain::outcome::Failure;

use crate::errors::{failure, incomplete};

/// What asking needs, on the inference profile and on the models behind it.
pub const PERMISSION: &str = "bedrock:InvokeModel";

/// More than eight sentences; what a model thinks counts too.
const MOST_TOKENS: i32 = 1_200;

/// What the model said, and why it stopped, in Bedrock's words.
#[derive(Debug)]
pub struct Reply {
    pub text: String,
    pub stop: String,
}

/// Newer models refuse parameters of sampling: none is sent.
pub async fn converse(client: &Client, model: &str, question: &Question) -> Result<Reply, Failure> {
    let message = Message::builder().role(ConversationRole::User).content(ContentBlock::Text(question.text.clone()));
    let message = message.build().map_err(|_| incomplete("the question could not be built"))?;
    let output = client
        .converse()
        .model_id(model)
        .system(SystemContentBlock::Text(question.system.to_owned()))
        .messages(message)
        .inference_config(InferenceConfiguration::builder().max_tokens(MOST_TOKENS).build())
        .send()
        .await
        .map_err(|it| failure(&it))?;
    let said = output.output().and_then(|it| it.as_message().ok()).map(Message::content).unwrap_or_default();
    // What it thinks or wants to call is not shown.
    let text: Vec<_> = said.iter().filter_map(|it| it.as_text().ok()).map(String::as_str).collect();
    Ok(Reply { text: text.join(" "), stop: output.stop_reason().as_str().to_owned() })
}
