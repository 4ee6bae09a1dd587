//! Precedence: which of all that is set about a message prevails, strongest first (SPEC §4).

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::booking::Notify;
use crate::channel::Channel;
use crate::client::{Bans, Cause};
use crate::message::Reason;
use crate::notification_type::NotificationType;

/// The levels, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// 1. The address is suppressed: STOP, a hard bounce or a complaint.
    Suppression,
    /// 2. The business has banned the channel or the type on the client card (S36, S44, S45).
    Ban,
    /// 3. The client has opted out: has not agreed to marketing, and this is marketing (S43), or wants nothing on the channel that can be done without.
    OptOut,
    /// 4. The operation was made without an sms, or without any notice (S31, S37).
    Silence,
    /// 5. Staff asked for the sms when making the booking (S34, S35).
    Tick,
    /// 6. The rule of the resource (S58).
    Resource,
    /// 7. The rule of the resource's kind (S57).
    ResourceKind,
    /// 8. The business's own rule: the switch of the type and of its channel (S13).
    Business,
    /// 9. The default.
    Default,
}

/// All that can be set about one message.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// Of which type it is.
    pub kind: NotificationType,
    /// How it would travel.
    pub channel: Channel,
    /// Why its address is suppressed, if it is.
    pub suppression: Option<Cause>,
    /// What is forbidden on the client card.
    pub bans: &'a Bans,
    /// Whether the client has agreed to marketing.
    pub marketing_consent: bool,
    /// On which channels the client wants nothing that can be done without.
    pub opt_outs: &'a BTreeSet<Channel>,
    /// What the operation said.
    pub notify: Notify,
    /// Whether the operation was the making of the booking, by staff.
    pub made_by_staff: bool,
    /// Whether the resource's own rule sends it, if there is one.
    pub resource: Option<bool>,
    /// Whether the rule of the resource's kind sends it, if there is one.
    pub resource_kind: Option<bool>,
    /// Whether the business's own rule sends it, if there is one.
    pub business: Option<bool>,
    /// Whether the default sends it.
    pub default: bool,
}

/// Which level decided, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// The strongest level that has something to say.
    pub level: Level,
    /// Why the message is not sent; `None` when it is.
    pub against: Option<Reason>,
}

/// Asks the levels one after the other; the first that has something to say prevails.
pub fn ruling(settings: &Settings<'_>) -> Ruling {
    let Settings { kind, channel, .. } = *settings;
    let never = |level, reason| Ruling { level, against: Some(reason) };
    let switched = |level, on: bool| Ruling { level, against: (!on).then_some(Reason::SwitchedOff) };

    if let Some(cause) = settings.suppression
        && (!kind.is_awaited() || cause == Cause::Stop)
    {
        return never(Level::Suppression, Reason::AddressSuppressed);
    }
    if !kind.is_awaited()
        && (settings.bans.channels.contains(&channel) || settings.bans.types.contains(&kind))
    {
        return never(Level::Ban, Reason::Banned);
    }
    if kind.is_marketing() && !settings.marketing_consent {
        return never(Level::OptOut, Reason::MarketingOptOut);
    }
    if kind.may_be_declined() && settings.opt_outs.contains(&channel) {
        return never(Level::OptOut, Reason::OptOut);
    }
    match settings.notify {
        Notify::Nothing => return never(Level::Silence, Reason::NotifyOff),
        Notify::NoSms if channel == Channel::Sms => return never(Level::Silence, Reason::NotifyOff),
        Notify::Yes if channel == Channel::Sms && settings.made_by_staff => {
            return Ruling { level: Level::Tick, against: None };
        }
        Notify::NoSms | Notify::Yes | Notify::ByRules => {}
    }
    if let Some(on) = settings.resource {
        return switched(Level::Resource, on);
    }
    if let Some(on) = settings.resource_kind {
        return switched(Level::ResourceKind, on);
    }
    if let Some(on) = settings.business {
        return switched(Level::Business, on);
    }
    switched(Level::Default, settings.default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    static NOBODY: Bans = Bans::none();
    static NOWHERE: BTreeSet<Channel> = BTreeSet::new();

    const LEVELS: [Level; 9] = [
        Level::Suppression,
        Level::Ban,
        Level::OptOut,
        Level::Silence,
        Level::Tick,
        Level::Resource,
        Level::ResourceKind,
        Level::Business,
        Level::Default,
    ];

    /// An sms at the making of a booking by staff, about which nothing is set but the default.
    fn nothing_set(default: bool) -> Settings<'static> {
        Settings {
            kind: NotificationType::BookingCreated,
            channel: Channel::Sms,
            suppression: None,
            bans: &NOBODY,
            marketing_consent: false,
            opt_outs: &NOWHERE,
            notify: Notify::ByRules,
            made_by_staff: true,
            resource: None,
            resource_kind: None,
            business: None,
            default,
        }
    }

    /// Why a level withholds, or `None` for the one that can only send.
    fn reason_of(level: Level) -> Option<Reason> {
        match level {
            Level::Suppression => Some(Reason::AddressSuppressed),
            Level::Ban => Some(Reason::Banned),
            Level::OptOut => Some(Reason::MarketingOptOut),
            Level::Silence => Some(Reason::NotifyOff),
            Level::Tick => None,
            Level::Resource | Level::ResourceKind | Level::Business | Level::Default => {
                Some(Reason::SwitchedOff)
            }
        }
    }

    /// What a level can say: send, do not send, or either.
    fn opinions_of(level: Level) -> &'static [bool] {
        match level {
            Level::Suppression | Level::Ban | Level::OptOut | Level::Silence => &[false],
            Level::Tick => &[true],
            Level::Resource | Level::ResourceKind | Level::Business | Level::Default => &[true, false],
        }
    }

    /// The settings with a level that says `on`.
    fn with<'a>(settings: Settings<'a>, level: Level, on: bool, bans: &'a Bans) -> Settings<'a> {
        match level {
            Level::Suppression => Settings { suppression: Some(Cause::Complaint), ..settings },
            Level::Ban => Settings { bans, ..settings },
            Level::OptOut => Settings { kind: NotificationType::Campaign, ..settings },
            Level::Silence => Settings { notify: Notify::NoSms, ..settings },
            Level::Tick => Settings { notify: Notify::Yes, ..settings },
            Level::Resource => Settings { resource: Some(on), ..settings },
            Level::ResourceKind => Settings { resource_kind: Some(on), ..settings },
            Level::Business => Settings { business: Some(on), ..settings },
            Level::Default => Settings { default: on, ..settings },
        }
    }

    #[test]
    fn s13_s31_s34_s35_s36_s37_s43_s44_s45_s57_s58_s60_of_any_two_levels_the_stronger_decides() {
        let bans = Bans { channels: [Channel::Sms].into(), ..Bans::none() };
        let (mut pairs, mut exclusive) = (0, 0);
        for (index, &stronger) in LEVELS.iter().enumerate() {
            for &weaker in &LEVELS[index + 1..] {
                if (stronger, weaker) == (Level::Silence, Level::Tick) {
                    exclusive += 1; // One operation says one of the two.
                    continue;
                }
                pairs += 1;
                for &says in opinions_of(stronger) {
                    for &contradicts in opinions_of(weaker) {
                        // They disagree, wherever they can.
                        if contradicts == says && opinions_of(stronger).len() + opinions_of(weaker).len() > 2
                        {
                            continue;
                        }
                        let settings = with(nothing_set(contradicts), weaker, contradicts, &bans);
                        let settings = with(settings, stronger, says, &bans);
                        let reason = reason_of(stronger).filter(|_| !says);
                        assert_eq!(
                            ruling(&settings),
                            Ruling { level: stronger, against: reason },
                            "{stronger:?} says {says}, {weaker:?} says {contradicts}"
                        );
                    }
                }
            }
        }
        assert_eq!((pairs, exclusive), (35, 1));
    }

    #[test]
    fn s13_each_level_that_speaks_alone_decides() {
        let bans = Bans { types: [NotificationType::BookingCreated].into(), ..Bans::none() };
        for level in LEVELS {
            for &says in opinions_of(level) {
                let settings = with(nothing_set(!says), level, says, &bans);
                let reason = reason_of(level).filter(|_| !says);
                assert_eq!(ruling(&settings), Ruling { level, against: reason }, "{level:?} says {says}");
            }
        }
    }

    #[rstest]
    #[case::stop(Channel::Sms, Cause::Stop, Some(Reason::AddressSuppressed))]
    #[case::bounce(Channel::Email, Cause::HardBounce, None)]
    #[case::complaint(Channel::Email, Cause::Complaint, None)]
    fn s16_a_code_that_is_waited_for_passes_a_bounce_and_not_a_stop(
        #[case] channel: Channel,
        #[case] cause: Cause,
        #[case] against: Option<Reason>,
    ) {
        let code = Settings {
            kind: NotificationType::VerificationCode,
            channel,
            suppression: Some(cause),
            ..nothing_set(true)
        };
        assert_eq!(ruling(&code).against, against);
        let other = Settings { kind: NotificationType::BookingCreated, ..code };
        assert_eq!(
            ruling(&other),
            Ruling { level: Level::Suppression, against: Some(Reason::AddressSuppressed) }
        );
    }

    #[test]
    fn s16_a_code_that_is_waited_for_knows_no_ban() {
        let bans = Bans {
            channels: Channel::ALL.into(),
            types: [NotificationType::VerificationCode, NotificationType::Reminder].into(),
        };
        let code = Settings { kind: NotificationType::VerificationCode, bans: &bans, ..nothing_set(true) };
        assert_eq!(ruling(&code), Ruling { level: Level::Default, against: None });
        let reminder = Settings { kind: NotificationType::Reminder, ..code };
        assert_eq!(ruling(&reminder), Ruling { level: Level::Ban, against: Some(Reason::Banned) });
    }

    #[test]
    fn s44_a_ban_of_a_channel_leaves_the_others() {
        let bans = Bans { channels: [Channel::Sms].into(), ..Bans::none() };
        for channel in Channel::ALL {
            let banned = Settings { channel, bans: &bans, ..nothing_set(true) };
            assert_eq!(
                ruling(&banned).against,
                (channel == Channel::Sms).then_some(Reason::Banned),
                "{channel}"
            );
        }
    }

    #[test]
    fn s45_a_ban_of_a_type_is_for_every_channel_and_no_other_type() {
        let bans = Bans { types: [NotificationType::Reminder].into(), ..Bans::none() };
        for channel in Channel::ALL {
            let reminder =
                Settings { kind: NotificationType::Reminder, channel, bans: &bans, ..nothing_set(true) };
            assert_eq!(ruling(&reminder).against, Some(Reason::Banned), "{channel}");
            let other = Settings { kind: NotificationType::BookingCreated, ..reminder };
            assert_eq!(ruling(&other).against, None, "{channel}");
        }
    }

    #[test]
    fn s43_marketing_that_was_not_agreed_to_is_withheld_and_nothing_else() {
        for &kind in NotificationType::ALL {
            let against = |marketing_consent| {
                ruling(&Settings { kind, marketing_consent, ..nothing_set(true) }).against
            };
            let refused = (kind == NotificationType::Campaign).then_some(Reason::MarketingOptOut);
            assert_eq!(against(false), refused, "{kind}");
            assert_eq!(against(true), None, "{kind}");
        }
    }

    #[test]
    fn s43_who_opts_out_of_a_channel_hears_there_what_cannot_be_done_without() {
        let opt_outs = BTreeSet::from([Channel::Sms]);
        for &kind in NotificationType::ALL {
            for channel in Channel::ALL {
                let settings = Settings {
                    kind,
                    channel,
                    opt_outs: &opt_outs,
                    marketing_consent: true,
                    ..nothing_set(true)
                };
                let withheld = channel == Channel::Sms && kind.may_be_declined();
                assert_eq!(ruling(&settings).against, withheld.then_some(Reason::OptOut), "{kind} {channel}");
            }
        }
    }

    #[rstest]
    #[case::by_staff_at_the_making(Notify::Yes, true, Channel::Sms, Level::Tick)]
    #[case::online_or_later(Notify::Yes, false, Channel::Sms, Level::Default)]
    #[case::other_channels(Notify::Yes, true, Channel::Email, Level::Default)]
    #[case::push_neither(Notify::Yes, true, Channel::Push, Level::Default)]
    #[case::nothing_said(Notify::ByRules, true, Channel::Sms, Level::Default)]
    fn s34_s35_the_tick_is_for_the_sms_of_a_booking_that_staff_makes(
        #[case] notify: Notify,
        #[case] made_by_staff: bool,
        #[case] channel: Channel,
        #[case] level: Level,
    ) {
        let settings = Settings { notify, made_by_staff, channel, ..nothing_set(false) };
        let against = (level == Level::Default).then_some(Reason::SwitchedOff);
        assert_eq!(ruling(&settings), Ruling { level, against });
    }

    #[rstest]
    fn s31_s37_no_sms_leaves_the_other_channels_and_none_silences_all(
        #[values(Channel::Email, Channel::Sms, Channel::Push)] channel: Channel,
        #[values(true, false)] made_by_staff: bool,
    ) {
        let level = |notify| ruling(&Settings { notify, channel, made_by_staff, ..nothing_set(true) }).level;
        let no_sms = if channel == Channel::Sms { Level::Silence } else { Level::Default };
        assert_eq!(level(Notify::NoSms), no_sms);
        assert_eq!(level(Notify::Nothing), Level::Silence);
        assert_eq!(level(Notify::ByRules), Level::Default);
    }
}
