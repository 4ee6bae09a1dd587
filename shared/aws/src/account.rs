//! What an account is allowed and how it is set, as whoever deploys into it may look: e-mail, sms, push, quotas, and AWS's clock.
//!
//! Only the admin tool asks for this feature: no function is built with these calls.

use std::sync::{Arc, Mutex, PoisonError};

use app::error::chain;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SdkConfig;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::connect::in_no_hurry;

/// Error codes that mean that the credentials lack an action, over the services asked here. SNS has a name of its own for it:
/// <https://docs.aws.amazon.com/sns/latest/api/API_GetSMSAttributes.html>.
const DENIED: &[&str] =
    &["AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"];

/// Error codes that mean that there is no such thing.
const NOT_FOUND: &[&str] = &["NotFound", "NotFoundException", "NoSuchResourceException"];

/// What was seen, or why nothing was.
pub type Seen<T> = Result<T, Unseen>;

/// Why one could not look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// The credentials lack an action.
    #[error("needs the action {action}")]
    Denied {
        /// As IAM names it, such as `ses:GetAccount`.
        action: &'static str,
    },
    /// There was no answer, or not the one expected.
    #[error("{action} failed: {why}")]
    Failed {
        /// What was asked, as IAM names it.
        action: &'static str,
        /// The answer in short.
        why: String,
    },
}

impl Unseen {
    fn of<E>(action: &'static str, error: E) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error,
    {
        match (error.code(), error.message()) {
            (Some(code), _) if DENIED.contains(&code) => Self::Denied { action },
            (Some(code), Some(message)) => Self::Failed { action, why: format!("{code}: {message}") },
            (Some(code), None) => Self::Failed { action, why: code.to_owned() },
            (None, _) => Self::Failed { action, why: chain(&error) },
        }
    }
}

/// Nothing where the answer is that there is no such thing.
fn if_there<T, E>(action: &'static str, answer: Result<T, E>) -> Seen<Option<T>>
where
    E: ProvideErrorMetadata + std::error::Error,
{
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code().is_some_and(|code| NOT_FOUND.contains(&code)) => Ok(None),
        Err(error) => Err(Unseen::of(action, error)),
    }
}

/// Whose credentials these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The user or role.
    pub arn: String,
}

/// What SES allows in a Region. <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html>
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// Whether the account is out of the sandbox.
    pub production: bool,
    /// Whether it may send at present.
    pub enabled: bool,
    /// `HEALTHY`, `PROBATION` or `SHUTDOWN`.
    pub reputation: String,
    /// E-mails a second.
    pub per_second: f64,
    /// E-mails in 24 hours; below zero: no limit.
    pub a_day: f64,
    /// E-mails sent in the last 24 hours.
    pub sent: f64,
}

/// An identity that e-mail is sent from. <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetEmailIdentity.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whether e-mail may be sent from it.
    pub verified: bool,
    /// Whether its e-mails are signed.
    pub signing: bool,
    /// How far DKIM has come: `PENDING`, `SUCCESS`, `FAILED`, `TEMPORARY_FAILURE` or `NOT_STARTED`.
    pub dkim: String,
}

/// How the account sends text messages. <https://docs.aws.amazon.com/sns/latest/api/API_SetSMSAttributes.html>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SmsSettings {
    /// `MonthlySpendLimit`, in US dollars.
    pub monthly_spend_limit: Option<String>,
    /// `DefaultSMSType`: `Transactional` or `Promotional`.
    pub default_type: Option<String>,
    /// `DeliveryStatusIAMRole`: the role that SNS writes its log of text messages with.
    pub log_role: Option<String>,
    /// `DeliveryStatusSuccessSamplingRate`: of how many deliveries in a hundred it tells.
    pub sampling: Option<String>,
}

/// A number that text messages may come from. <https://docs.aws.amazon.com/sns/latest/api/API_PhoneNumberInformation.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// The number.
    pub number: String,
    /// `ACTIVE` where it can be used.
    pub status: String,
}

/// A quota of the account. <https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ServiceQuota.html>
#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    /// Its code, such as `L-B99A9384`.
    pub code: String,
    /// What is allowed.
    pub value: f64,
}

/// Looks at an account. Each call needs one action on `*`, named in what it answers when it lacks it.
#[derive(Debug, Clone)]
pub struct Account {
    sts: aws_sdk_sts::Client,
    ses: aws_sdk_sesv2::Client,
    sns: aws_sdk_sns::Client,
    quotas: aws_sdk_servicequotas::Client,
}

impl Account {
    /// The account that the credentials lead to, in the Region of `config`.
    pub fn new(config: &SdkConfig) -> Self {
        let config = &in_no_hurry(config);
        Self {
            sts: aws_sdk_sts::Client::new(config),
            ses: aws_sdk_sesv2::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            quotas: aws_sdk_servicequotas::Client::new(config),
        }
    }

    /// Whose credentials these are, and what time AWS says it is, to the second, even where it refuses them.
    pub async fn caller(&self) -> (Seen<Caller>, Option<Timestamp>) {
        let clock = Clock::default();
        let answer = self.sts.get_caller_identity().customize().interceptor(clock.clone()).send().await;
        let caller = match answer {
            Ok(who) => {
                Ok(Caller { account: who.account.unwrap_or_default(), arn: who.arn.unwrap_or_default() })
            }
            Err(error) => Err(Unseen::of("sts:GetCallerIdentity", error)),
        };
        (caller, clock.last())
    }

    /// What SES allows.
    ///
    /// # Errors
    /// [`Unseen`], here as of the other calls.
    pub async fn sending(&self) -> Seen<Sending> {
        const ACTION: &str = "ses:GetAccount";
        let account = self.ses.get_account().send().await.map_err(|error| Unseen::of(ACTION, error))?;
        let quota = account.send_quota.ok_or_else(|| Unseen::Failed {
            action: ACTION,
            why: "the answer has no SendQuota".to_owned(),
        })?;
        Ok(Sending {
            production: account.production_access_enabled,
            enabled: account.sending_enabled,
            reputation: account.enforcement_status.unwrap_or_default(),
            per_second: quota.max_send_rate,
            a_day: quota.max24_hour_send,
            sent: quota.sent_last24_hours,
        })
    }

    /// An identity, a domain or an address; `None` when SES has none of that name in the Region.
    ///
    /// # Errors
    /// [`Unseen`].
    pub async fn identity(&self, name: &str) -> Seen<Option<Identity>> {
        let answer = self.ses.get_email_identity().email_identity(name).send().await;
        let Some(identity) = if_there("ses:GetEmailIdentity", answer)? else { return Ok(None) };
        let dkim = identity.dkim_attributes;
        Ok(Some(Identity {
            verified: identity.verified_for_sending_status,
            signing: dkim.as_ref().is_some_and(|dkim| dkim.signing_enabled),
            dkim: dkim
                .and_then(|dkim| dkim.status)
                .map_or_else(String::new, |status| status.as_str().to_owned()),
        }))
    }

    /// Whether the account reaches verified phones only. <https://docs.aws.amazon.com/sns/latest/api/API_GetSMSSandboxAccountStatus.html>
    ///
    /// # Errors
    /// [`Unseen`].
    pub async fn sms_sandbox(&self) -> Seen<bool> {
        let answer = self.sns.get_sms_sandbox_account_status().send().await;
        answer
            .map(|status| status.is_in_sandbox)
            .map_err(|error| Unseen::of("sns:GetSMSSandboxAccountStatus", error))
    }

    /// How the account sends text messages.
    ///
    /// # Errors
    /// [`Unseen`].
    pub async fn sms_settings(&self) -> Seen<SmsSettings> {
        let answer = self.sns.get_sms_attributes().send().await;
        let mut attributes =
            answer.map_err(|error| Unseen::of("sns:GetSMSAttributes", error))?.attributes.unwrap_or_default();
        let mut take = |name: &str| attributes.remove(name).filter(|value| !value.is_empty());
        Ok(SmsSettings {
            monthly_spend_limit: take("MonthlySpendLimit"),
            default_type: take("DefaultSMSType"),
            log_role: take("DeliveryStatusIAMRole"),
            sampling: take("DeliveryStatusSuccessSamplingRate"),
        })
    }

    /// The numbers that text messages may come from. <https://docs.aws.amazon.com/sns/latest/api/API_ListOriginationNumbers.html>
    ///
    /// # Errors
    /// [`Unseen`].
    pub async fn numbers(&self) -> Seen<Vec<Number>> {
        let mut found = Vec::new();
        let mut pages = self.sns.list_origination_numbers().into_paginator().items().send();
        while let Some(number) = pages.next().await {
            let number = number.map_err(|error| Unseen::of("sns:ListOriginationNumbers", error))?;
            found.push(Number {
                number: number.phone_number.unwrap_or_default(),
                status: number.status.unwrap_or_default(),
            });
        }
        Ok(found)
    }

    /// Whether a platform application for push messages is enabled; `None` when there is none of that ARN.
    /// <https://docs.aws.amazon.com/sns/latest/api/API_GetPlatformApplicationAttributes.html>
    ///
    /// # Errors
    /// [`Unseen`].
    pub async fn application(&self, arn: &str) -> Seen<Option<bool>> {
        let answer =
            self.sns.get_platform_application_attributes().platform_application_arn(arn).send().await;
        let found = if_there("sns:GetPlatformApplicationAttributes", answer)?;
        Ok(found.map(|found| {
            let attributes = found.attributes.unwrap_or_default();
            attributes.get("Enabled").is_some_and(|enabled| enabled == "true")
        }))
    }

    /// A quota by its code or its name, as it holds for the account, else AWS's default; `None` when the service names no such quota.
    ///
    /// # Errors
    /// [`Unseen`].
    pub async fn quota(&self, service: &str, code_or_name: &str) -> Seen<Option<Quota>> {
        let wanted = |quota: aws_sdk_servicequotas::types::ServiceQuota| {
            let (code, name) = (quota.quota_code?, quota.quota_name.unwrap_or_default());
            let value = quota.value?;
            (code == code_or_name || name == code_or_name).then_some(Quota { code, value })
        };
        let mut applied =
            self.quotas.list_service_quotas().service_code(service).into_paginator().items().send();
        while let Some(quota) = applied.next().await {
            let quota = quota.map_err(|error| Unseen::of("servicequotas:ListServiceQuotas", error))?;
            if let Some(found) = wanted(quota) {
                return Ok(Some(found));
            }
        }
        // What was never raised may be in the list of defaults only.
        let defaults = self.quotas.list_aws_default_service_quotas().service_code(service);
        let mut defaults = defaults.into_paginator().items().send();
        while let Some(quota) = defaults.next().await {
            let quota =
                quota.map_err(|error| Unseen::of("servicequotas:ListAWSDefaultServiceQuotas", error))?;
            if let Some(found) = wanted(quota) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Notes the `Date` of answers.
#[derive(Debug, Clone, Default)]
struct Clock(Arc<Mutex<Option<Timestamp>>>);

impl Clock {
    fn last(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(|date| rfc2822::parse(date).ok());
        if let Some(date) = date {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(date.timestamp());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
