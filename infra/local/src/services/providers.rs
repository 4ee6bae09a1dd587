//! How the providers behave: well, or as the control API tells them to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::text::is_meant;
use super::{Services, ServicesConfig, lock};

/// What a message leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// SES.
    Email,
    /// SNS, to a phone number.
    Sms,
    /// SNS, to a device.
    Push,
    /// AWS End User Messaging Social.
    Whatsapp,
    /// The Telegram Bot API.
    Telegram,
}

impl Channel {
    pub(super) const ALL: [Self; 5] = [Self::Email, Self::Sms, Self::Push, Self::Whatsapp, Self::Telegram];
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Push => "push",
            Self::Whatsapp => "whatsapp",
            Self::Telegram => "telegram",
        })
    }
}

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.to_string() == text)
            .ok_or_else(|| format!("channel is email, sms, push, whatsapp or telegram, not {text:?}"))
    }
}

/// What a provider does with the calls it is told to treat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// Sends and answers.
    #[default]
    Ok,
    /// Answers 500 InternalFailure and sends nothing.
    Fail,
    /// Answers that it is called too often and sends nothing.
    Throttle,
    /// Sends, and answers late.
    Slow,
    /// Sends, and answers 500 InternalFailure.
    AcceptThenFail,
    /// Answers the instruction's `error` and sends nothing.
    Refuse,
}

/// What `POST /providers/{channel}` brings. The behaviour is replaced; a limit that is not given stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Instruction {
    #[serde(default)]
    mode: Mode,
    /// The service's error in mode refuse, such as `MessageRejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Part of the calls that are treated so, 0 to 1, spread evenly: 0.5 is every second call. All of them by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    /// Chooses that part by chance instead, always the same for the same seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// After this many calls treated so, the provider is well again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_next: Option<u32>,
    /// How long the answer takes. By default 5 s in mode slow, 60 s with `timeout_after_effect`, else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    /// Sends, and then lets the caller wait for so long that it gives up.
    #[serde(default)]
    timeout_after_effect: bool,
    /// E-mails in 24 hours.
    #[serde(default, skip_serializing)]
    daily_quota: Option<u32>,
    /// Messages in a second.
    #[serde(default, skip_serializing)]
    per_second: Option<u32>,
    /// Text messages in a calendar month before the spend limit stops them silently.
    #[serde(default, skip_serializing)]
    per_month: Option<u32>,
    /// Phone numbers that opted out; replaces the list.
    #[serde(default, skip_serializing)]
    opted_out: Option<BTreeSet<String>>,
}

/// What providers allow an account.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Limits {
    /// E-mails in 24 hours.
    pub daily_quota: u32,
    /// E-mails in a second.
    pub per_second: u32,
    /// Text messages in a calendar month.
    pub per_month: Option<u32>,
}

/// How one call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    sends: bool,
    delay: Duration,
    answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Accept,
    Fail,
    Throttle,
    Refuse(String),
}

/// Why a call did not go well.
#[derive(Debug)]
pub(super) enum ProviderError<E> {
    /// The provider refused what was asked.
    Refused(E),
    /// The provider was told to fail.
    Failed,
    /// The provider was told to throttle, or is called too often.
    Throttled,
    /// The provider was told to refuse with this error.
    Told(String),
}

#[derive(Debug, Default)]
struct Provider {
    instruction: Instruction,
    /// Calls since the instruction was given.
    calls: u64,
}

impl Provider {
    fn next_call(&mut self) -> Call {
        let well = Call { sends: true, delay: Duration::ZERO, answer: Answer::Accept };
        self.calls += 1;
        let Instruction { mode, share, seed, delay_ms, timeout_after_effect, .. } = self.instruction;
        if (mode == Mode::Ok && !timeout_after_effect) || !is_meant(share, seed, self.calls) {
            return well;
        }
        let error = self.instruction.error.clone().unwrap_or_default();
        match &mut self.instruction.for_next {
            Some(0 | 1) => self.instruction = Instruction::default(),
            Some(left) => *left -= 1,
            None => {}
        }
        let (sends, answer, default_ms) = match mode {
            _ if timeout_after_effect => (true, Answer::Fail, 60_000),
            Mode::Ok => (true, Answer::Accept, 0),
            Mode::Slow => (true, Answer::Accept, 5_000),
            Mode::AcceptThenFail => (true, Answer::Fail, 0),
            Mode::Fail => (false, Answer::Fail, 0),
            Mode::Throttle => (false, Answer::Throttle, 0),
            Mode::Refuse => (false, Answer::Refuse(error), 0),
        };
        Call { sends, delay: Duration::from_millis(delay_ms.unwrap_or(default_ms)), answer }
    }
}

/// The providers of all channels.
pub(super) struct Providers(Mutex<State>);

struct State {
    providers: BTreeMap<Channel, Provider>,
    limits: Limits,
    /// The greatest rate of channels other than e-mail, whose rate SES counts itself.
    rates: BTreeMap<Channel, Rate>,
}

/// Calls that are let through in a second.
#[derive(Default)]
struct Rate {
    per_second: u32,
    recent: VecDeque<Timestamp>,
}

impl Rate {
    /// Counts a call; tells whether it is one too many.
    fn exceeded(&mut self, now: Timestamp) -> bool {
        let second = SignedDuration::from_secs(1);
        while self.recent.front().is_some_and(|at| now.duration_since(*at) >= second) {
            self.recent.pop_front();
        }
        let exceeded = self.recent.len() >= self.per_second as usize;
        if !exceeded {
            self.recent.push_back(now);
        }
        exceeded
    }
}

impl State {
    fn provider(&mut self, channel: Channel) -> &mut Provider {
        self.providers.entry(channel).or_default()
    }
}

impl Providers {
    pub(super) fn new(config: &ServicesConfig) -> Self {
        let limits = Limits {
            daily_quota: config.email_daily_quota,
            per_second: config.email_per_second,
            per_month: config.sms_per_month,
        };
        Self(Mutex::new(State { providers: BTreeMap::new(), limits, rates: BTreeMap::new() }))
    }

    pub(super) fn limits(&self) -> Limits {
        lock(&self.0).limits
    }
}

impl Services {
    /// Tells a provider how to behave.
    ///
    /// # Errors
    /// What is wrong with the instruction, in one line.
    pub(super) fn instruct(&self, channel: Channel, instruction: Instruction) -> Result<(), String> {
        if let Some(share) = instruction.share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(format!("share is from 0 to 1, not {share}"));
        }
        if instruction.mode == Mode::Refuse && instruction.error.is_none() {
            return Err("mode refuse needs an error".to_owned());
        }
        if instruction.daily_quota.is_some() && channel != Channel::Email {
            return Err("daily_quota is for email only".to_owned());
        }
        if (instruction.per_month.is_some() || instruction.opted_out.is_some()) && channel != Channel::Sms {
            return Err("per_month and opted_out are for sms only".to_owned());
        }
        let mut state = lock(&self.providers.0);
        state.limits = Limits {
            daily_quota: instruction.daily_quota.unwrap_or(state.limits.daily_quota),
            per_second: match channel {
                Channel::Email => instruction.per_second.unwrap_or(state.limits.per_second),
                _ => state.limits.per_second,
            },
            per_month: instruction.per_month.or(state.limits.per_month),
        };
        if let Some(per_second) = instruction.per_second.filter(|_| channel != Channel::Email) {
            state.rates.insert(channel, Rate { per_second, ..Rate::default() });
        }
        if let Some(numbers) = &instruction.opted_out {
            self.sns.set_opted_out(numbers.clone());
        }
        *state.provider(channel) = Provider { instruction, calls: 0 };
        Ok(())
    }

    /// How the providers are told to behave, by channel, with what they allow.
    pub(super) fn provider_report(&self) -> serde_json::Value {
        let mut state = lock(&self.providers.0);
        let limits = state.limits;
        let mut report = serde_json::Map::new();
        for channel in Channel::ALL {
            let provider = state.provider(channel);
            let mut each = serde_json::json!(provider.instruction);
            each["calls"] = provider.calls.into();
            match channel {
                Channel::Email => {
                    each["daily_quota"] = limits.daily_quota.into();
                    each["per_second"] = limits.per_second.into();
                }
                Channel::Sms => {
                    each["per_month"] = limits.per_month.into();
                    each["opted_out"] = serde_json::json!(self.sns.opted_out());
                }
                Channel::Push | Channel::Whatsapp | Channel::Telegram => {}
            }
            if let Some(rate) = state.rates.get(&channel) {
                each["per_second"] = rate.per_second.into();
            }
            report.insert(channel.to_string(), each);
        }
        report.into()
    }

    /// Makes a call to a provider: `send` does the sending, and is left out when the provider is told to fail before it.
    pub(super) async fn call_provider<T, E>(
        &self,
        channel: Channel,
        send: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, ProviderError<E>> {
        let call = {
            let mut state = lock(&self.providers.0);
            if state.rates.get_mut(&channel).is_some_and(|rate| rate.exceeded(self.clock.now())) {
                return Err(ProviderError::Throttled);
            }
            state.provider(channel).next_call()
        };
        let sent = call.sends.then(send);
        tokio::time::sleep(call.delay).await;
        match (call.answer, sent) {
            (_, Some(Err(refused))) => Err(ProviderError::Refused(refused)),
            (Answer::Accept, Some(Ok(accepted))) => Ok(accepted),
            (Answer::Throttle, _) => Err(ProviderError::Throttled),
            (Answer::Refuse(error), _) => Err(ProviderError::Told(error)),
            (Answer::Accept | Answer::Fail, _) => Err(ProviderError::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(instruction: serde_json::Value, calls: usize) -> Vec<(bool, Answer)> {
        let instruction = serde_json::from_value(instruction).unwrap();
        let mut provider = Provider { instruction, calls: 0 };
        (0..calls).map(|_| provider.next_call()).map(|call| (call.sends, call.answer)).collect()
    }

    #[test]
    fn a_share_of_calls_is_spread_evenly() {
        let half = answers(serde_json::json!({ "mode": "fail", "share": 0.5 }), 6);
        let (well, fails) = (|| (true, Answer::Accept), || (false, Answer::Fail));
        assert_eq!(half, [well(), fails(), well(), fails(), well(), fails()]);
    }

    #[test]
    fn for_next_counts_only_treated_calls_and_then_ends() {
        let two = answers(serde_json::json!({ "mode": "throttle", "for_next": 2 }), 4);
        let (well, throttled) = (|| (true, Answer::Accept), || (false, Answer::Throttle));
        assert_eq!(two, [throttled(), throttled(), well(), well()]);
    }

    #[test]
    fn a_timeout_after_effect_sends_and_keeps_the_caller_waiting() {
        let instruction =
            serde_json::from_value(serde_json::json!({ "timeout_after_effect": true })).unwrap();
        let call = Provider { instruction, calls: 0 }.next_call();
        assert_eq!(call, Call { sends: true, delay: Duration::from_secs(60), answer: Answer::Fail });
    }
}
