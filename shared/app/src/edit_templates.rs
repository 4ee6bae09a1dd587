//! Editing what a business changes of the texts of a type. Messages are filled at the moment they leave, so a change holds for all that have
//! not left.

use domain::business::Locale;
use domain::ids::BusinessId;
use domain::notification_type::NotificationType;
use domain::template::{InformationBlock, OwnText, Templates, VARIABLES, Variable};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::edit_catalogue::{Edit, update};
use crate::error::AppError;
use crate::once::Done;
use crate::ports::{Item, Key, Read, WriteFacts, first};

/// What a business changes of a type's texts, as a caller gives it. Nothing at all is our texts as they are.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplatesFields {
    /// Texts for sms and push (S5).
    #[serde(default)]
    pub texts: Vec<OwnText>,
    /// What e-mails say beside our own text (S11).
    #[serde(default)]
    pub blocks: Vec<InformationBlock>,
}

/// Reads what a business has changed of a type's texts; version 0 where it has changed nothing.
pub async fn templates_of(
    ports: &impl Read,
    business_id: &BusinessId,
    kind: NotificationType,
) -> Result<Done<Templates>, AppError> {
    let found = ports.read(vec![Key::Templates(business_id.clone(), kind)]).await?;
    let stored = first(&found, Item::templates).map(|(templates, version)| (templates.clone(), version));
    let (value, etag) = stored.unwrap_or_else(|| (Templates::none(business_id.clone(), kind), 0));
    Ok(Done { value, etag })
}

/// Sets what a business changes of a type's texts; without any fields our texts hold again ("set default").
///
/// # Errors
/// [`AppError::InvalidTemplate`] names the field and the place in the text; what was saved before holds.
pub async fn edit_templates<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    kind: NotificationType,
    fields: TemplatesFields,
) -> Result<Done<Item>, AppError> {
    let TemplatesFields { texts, blocks } = fields;
    let templates = Templates { texts, blocks, ..Templates::none(edit.business_id.clone(), kind) };
    templates.check()?;
    let key = Key::Templates(edit.business_id.clone(), kind);
    update(ports, edit, key, &[], |_| Ok(Item::Templates(templates.clone()))).await
}

/// A variable that the texts of a type may use, with what it says in the sample data.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DocumentedVariable {
    /// The variable.
    #[serde(flatten)]
    pub variable: Variable,
    /// What it says, in the language that was asked for.
    pub example: Option<String>,
}

/// The variables that the texts of a type may use (S6).
pub fn variables_of(kind: NotificationType, locale: Locale) -> Vec<DocumentedVariable> {
    let of_kind = VARIABLES.iter().filter(|variable| variable.is_for(kind));
    of_kind
        .map(|variable| DocumentedVariable { variable: *variable, example: variable.example(locale) })
        .collect()
}
