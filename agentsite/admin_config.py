from django.contrib.admin.apps import AdminConfig


class AdminSiteConfig(AdminConfig):
    """Makes `django.contrib.admin.site` a site of our own. A module of its own: apps.py has the project's config."""

    default_site = "agentsite.console.site.AgentsiteAdminSite"
