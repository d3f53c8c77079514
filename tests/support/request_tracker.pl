# What a support team would have in its Request Tracker: loaded once by scripts/request-tracker.
use strict;
use warnings;

our @Queues = map { { Name => $_, CorrespondAddress => 'support@support.example.com' } }
    ('Support', 'Billing', 'Logistics');

our @Groups = ( { Name => 'Team' }, { Name => 'Programs' } );

our @Users = (
    { Name => 'frontdesk', EmailAddress => 'frontdesk@support.example.com', Password => 'changed later', Privileged => 1 },
    { Name => 'alice',     EmailAddress => 'alice@support.example.com',     Password => 'changed later', Privileged => 1 },
);

our @Members = (
    { GroupDomain => 'UserDefined', Group => 'Programs', Class => 'RT::User', Name => 'frontdesk' },
    { GroupDomain => 'UserDefined', Group => 'Team',     Class => 'RT::User', Name => 'alice' },
);

my $of_tickets = 'RT::Queue-RT::Ticket';
our @CustomFields = (
    { Name => 'AI Intent',     Type => 'FreeformSingle',   LookupType => $of_tickets, MaxValues => 1 },
    { Name => 'AI Confidence', Type => 'FreeformSingle',   LookupType => $of_tickets, MaxValues => 1 },
    { Name => 'Order',         Type => 'FreeformSingle',   LookupType => $of_tickets, MaxValues => 1 },
    { Name => 'Tags',          Type => 'FreeformMultiple', LookupType => $of_tickets },
    { Name => 'Frontdesk Ref', Type => 'FreeformSingle',   LookupType => "$of_tickets-RT::Transaction", MaxValues => 1 },
);

my @see = qw(SeeQueue ShowTicket ShowTicketComments SeeCustomField);
my @work = qw(CreateTicket ModifyTicket CommentOnTicket ReplyToTicket OwnTicket ModifyCustomField);
our @ACL = (
    ( map { { GroupDomain => 'UserDefined', GroupId => 'Programs', Right => $_ } } @see, @work ),
    ( map { { GroupDomain => 'UserDefined', GroupId => 'Team', Right => $_ } } @see, @work ),
    # Customers write by mail, without an account.
    ( map { { GroupDomain => 'SystemInternal', GroupType => 'Everyone', Right => $_ } } qw(CreateTicket ReplyToTicket) ),
);

# RT has no webhooks; this is one, as docs/helpdesks.md has it. It tells of tickets whose subject
# begins with a word of the file, a line for each that listens: the word, the address, the secret.
our @Scrips = (
    { Description            => 'Frontdesk',
      ScripCondition         => 'User Defined',
      ScripAction            => 'User Defined',
      Template               => 'Blank',
      Stage                  => 'TransactionCreate',
      CustomIsApplicableCode => 'return $ENV{FRONTDESK_TEST_RT_HOOKS} && -s $ENV{FRONTDESK_TEST_RT_HOOKS};',
      CustomPrepareCode      => 'return 1;',
      CustomCommitCode       => q{
          use Digest::SHA qw(hmac_sha256_hex); use JSON (); use LWP::UserAgent;
          my ($t, $ticket) = ($self->TransactionObj, $self->TicketObj);
          my $by = $t->CreatorObj;
          my $body = JSON::encode_json({ transaction => $t->id, ticket => $ticket->id, type => $t->Type, new_value => $t->NewValue // '',
              user => $by->Name, is_requestor => $ticket->Requestors->HasMemberRecursively($by->PrincipalObj) ? \1 : \0 });
          open my $file, '<', $ENV{FRONTDESK_TEST_RT_HOOKS} or return 1;
          while (my ($word, $address, $secret) = split ' ', <$file> // '') {
              next unless index($ticket->Subject, $word) == 0;
              my $at = time;
              LWP::UserAgent->new(timeout => 5)->post($address, 'Content-Type' => 'application/json', 'X-Frontdesk-Time' => $at,
                  'X-Frontdesk-Signature' => hmac_sha256_hex("$at.$body", $secret), Content => $body);
          }
          return 1;
      } },
);

# Every field is for every queue.
our @Final = ( sub {
    for my $name ( map { $_->{Name} } @CustomFields ) {
        my $field = RT::CustomField->new( RT->SystemUser );
        $field->LoadByCols( Name => $name );
        next if !$field->id || $field->IsGlobal;
        my ( $done, $said ) = $field->AddToObject( RT::Queue->new( RT->SystemUser ) );
        die "$name: $said" unless $done;
    }
} );

1;
