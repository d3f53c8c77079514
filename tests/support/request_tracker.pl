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
