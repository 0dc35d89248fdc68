from django.contrib.admin.apps import AdminConfig


class AdminSiteConfig(AdminConfig):
    """Admin app config with our own site class. Not in apps.py, which holds the project's own config."""

    default_site = "agentsite.console.site.AgentsiteAdminSite"
