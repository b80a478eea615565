package db

// AuditIn audits what a transaction sees.
var AuditIn = auditIn
