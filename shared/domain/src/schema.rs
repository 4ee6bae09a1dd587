//! Schemas of types whose JSON is not what their Rust looks like, for the API's OpenAPI document.

use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{AllOfBuilder, OneOfBuilder, Ref, RefOr};

/// A text of a certain form.
pub fn text(description: &str, pattern: &str, example: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .examples([example])
        .into()
}

/// A whole number from `least` to `most`.
pub fn number(least: u32, most: u32) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most)).into()
}

/// Money of zero or more minor units.
pub fn amount() -> RefOr<Schema> {
    let minor = ObjectBuilder::new().schema_type(SchemaType::AnyValue).minimum(Some(0));
    let bound = ObjectBuilder::new().schema_type(SchemaType::AnyValue).property("minor", minor);
    AllOfBuilder::new().item(Ref::from_schema_name("Money")).item(bound).into()
}

/// [`amount`], or null.
pub fn optional_amount() -> RefOr<Schema> {
    OneOfBuilder::new().item(amount()).item(ObjectBuilder::new().schema_type(Type::Null)).into()
}
